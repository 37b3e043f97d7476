//! The shell's help text.

use prost_reflect::ServiceDescriptor;

use crate::options::descriptors::snake_case;

const COMMANDS: &str = "\
load [RPC] UDF [WORKERS]      load a binary, for one rpc or for all
RPC REQUEST [FILE] [&]        ask it; the request is JSON or a file with JSON,
                              FILE gets the response appended, & does not wait
execute REQUEST [FILE] [&]    the same with plain bytes: a text, or @FILE
call RPC REQUEST [FILE] [&]   the same for an rpc called like a command
time COUNT RPC REQUEST        ask many times, one after the other
list                          what is loaded and what is asked
logs                          what the UDF printed for the last request
cancel [NUMBER]               end one request that was not waited for, or all
wait                          wait for all of them
delete [CODE]                 end the processes of a binary and forget it
commands FILE                 do what the lines of a file say
help                          this text
exit                          end everything";

/// Returns the help for all commands and for the service's rpcs.
pub fn text(service: Option<&ServiceDescriptor>) -> String {
    let Some(service) = service else {
        return format!("{COMMANDS}\n\nThere are no rpcs: start with --proto or --descriptor.");
    };
    let rpcs = service.methods().map(|method| {
        let (name, rpc) = (snake_case(method.name()), method.name());
        let (input, output) = (method.input(), method.output());
        format!("  {name} or {rpc}: {} -> {}", input.name(), output.name())
    });
    let rpcs = rpcs.collect::<Vec<_>>().join("\n");
    format!("{COMMANDS}\n\nThe rpcs of {}:\n{rpcs}", service.full_name())
}
