
## Functions of the host

| what a UDF may ask the host, by the names `package.Service/Method` | the same as a crate, for UDFs in Rust |
|---|---|
{{host_apis}}
