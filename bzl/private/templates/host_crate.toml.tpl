[package]
name = "host-{{name}}"
description = "Functions of the host, to call from a UDF."
version = "0.1.0"
edition = "2024"

[lib]
path = "lib.rs"

[dependencies]
roma-udf = { path = "../roma-udf" }
udf-interface = { path = "../udf-interface" }

[workspace]
