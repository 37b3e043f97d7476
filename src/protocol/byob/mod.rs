//! The data connection of a byob UDF. The worker writes one byte, of any value, when it is ready; with
//! the older protocol it writes none, and counts as ready once its spawner reports
//! [`FromSpawner::Started`](crate::spawner::FromSpawner::Started). The host writes one [`frame`], the
//! request, and the worker one [`frame`], the response.

pub mod frame;
