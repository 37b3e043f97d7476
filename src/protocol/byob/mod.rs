//! The data connection of a byob UDF. The host writes one [`frame`], the request. The worker writes
//! what its [`readiness`] protocol asks for and then one [`frame`], the response.

pub mod frame;
pub mod readiness;
