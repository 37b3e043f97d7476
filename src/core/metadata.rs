//! What the caller of an execution passes to host functions.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What the caller of an execution passes to host functions. UDFs do not see it.
///
/// ```
/// use roma_core::Metadata;
///
/// struct Tenant(&'static str);
/// let metadata = Metadata::new(Tenant("acme"));
/// assert_eq!(metadata.get::<Tenant>().unwrap().0, "acme");
/// assert!(metadata.get::<String>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct Metadata(Option<Arc<dyn Any + Send + Sync>>);

impl Metadata {
    /// Wraps any value.
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(value)))
    }

    /// Returns the value, if there is one of this type.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may be private.
        f.write_str(if self.0.is_some() {
            "Metadata(..)"
        } else {
            "Metadata(none)"
        })
    }
}
