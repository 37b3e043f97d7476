//! A program in an image. Its first argument is a command.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, ExitCode};
use std::{env, fs};

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["say", words @ ..] => println!("{}", words.join(" ")),
        ["complain", words @ ..] => eprintln!("{}", words.join(" ")),
        ["environment"] => env::vars().for_each(|(name, value)| println!("{name}={value}")),
        ["identity"] => identity()?,
        ["write", path, text] => fs::write(path, text)?,
        ["read", path] => print!("{}", fs::read_to_string(path)?),
        ["input"] => println!("{} bytes", io::stdin().read_to_end(&mut Vec::new())?),
        ["leave", marker] => {
            Command::new("/bin/probe").args(["stay", marker]).spawn()?;
        }
        ["stay", _] => loop {
            std::thread::park();
        },
        ["processes"] => println!("{}", processes()?),
        ["crash"] => std::process::abort(),
        ["exit", code] => {
            return Ok(ExitCode::from(
                code.parse::<u8>().map_err(io::Error::other)?,
            ));
        }
        _ => return Ok(ExitCode::from(64)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the number of processes.
fn processes() -> io::Result<usize> {
    let names =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.parse::<u32>().is_ok()).count())
}

/// Prints the owner of the files that this process makes, and the current directory.
fn identity() -> io::Result<()> {
    let file = "/dev/shm/identity";
    fs::write(file, "")?;
    let made = fs::metadata(file)?;
    fs::remove_file(file)?;
    println!(
        "{}:{} in {}",
        made.uid(),
        made.gid(),
        env::current_dir()?.display()
    );
    Ok(())
}
