//! Inspecting a binary before it is loaded: what it is, for which machine, what else it needs.
//!
//! The bytes are untrusted: every offset is checked.

use std::collections::BTreeSet;

/// How a file is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binary {
    /// A program for Linux.
    Elf(Elf),
    /// A script that another program runs.
    Script {
        /// Path of that program.
        interpreter: String,
    },
}

/// An ELF program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// The machine that it is for.
    pub machine: Machine,
    /// The dynamic loader, if it has one.
    pub interpreter: Option<String>,
    /// The shared libraries that it names, in order.
    pub needed: Vec<String>,
}

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// A machine that Roma does not support, by its ELF number.
    Other(u16),
}

impl Machine {
    /// Returns the machine that this code was compiled for.
    #[must_use]
    pub fn here() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Aarch64
        } else {
            Self::X86_64
        }
    }

    fn from_number(number: u16) -> Self {
        match number {
            62 => Self::X86_64,
            183 => Self::Aarch64,
            other => Self::Other(other),
        }
    }
}

/// Why a file cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// The file starts with neither the ELF magic nor `#!`.
    #[error("neither an ELF program nor a script")]
    UnknownFormat,
    /// There is no path after `#!`.
    #[error("a script that does not name its interpreter")]
    NoInterpreter,
    /// The ELF file is 32-bit or big-endian.
    #[error("not a 64-bit little-endian program")]
    WrongClass,
    /// The ELF file is an object file, a core dump or the like.
    #[error("an ELF file of type {0}, not a program")]
    NotAProgram(u16),
    /// The program names more than 1024 shared libraries.
    #[error("a program that names more than {MAX_NEEDED} shared libraries")]
    TooManyLibraries,
    /// The ELF file is of a version that does not exist.
    #[error("damaged: its ELF version is {0}, not 1")]
    WrongVersion(u8),
    /// Its program headers have another size than those of any 64-bit program.
    #[error("damaged: its program headers have {0} bytes each, not {PROGRAM_HEADER_BYTES}")]
    HeaderSize(u16),
    /// It has no program header, or more than a kernel reads.
    #[error("damaged: it has {0} program headers, and a program has 1 to {MAX_PROGRAM_HEADERS}")]
    HeaderCount(u16),
    /// No program header tells what to load.
    #[error("damaged: no program header tells what to load")]
    NothingToLoad,
    /// A kernel does not load a segment that its program headers describe.
    #[error("damaged: its program header {index} {defect}")]
    Segment {
        /// Its place in the table, from 0.
        index: usize,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// A table or string lies outside the file.
    #[error("damaged: {0} lies outside the file")]
    Damaged(&'static str),
}

const EXECUTABLE: u16 = 2;
const POSITION_INDEPENDENT: u16 = 3;

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

const PROGRAM_HEADER_BYTES: u16 = 56;

/// Maximum number of program headers: Linux and gVisor read one page of them.
const MAX_PROGRAM_HEADERS: u16 = 4096 / PROGRAM_HEADER_BYTES;

/// The smallest page. Segments are mapped in pages.
const PAGE: u64 = 4096;

/// The lowest address that an ordinary process can map.
const LOWEST_ADDRESS: u64 = 0x1_0000;

/// No address of a process is as high, on any machine.
const HIGHEST_ADDRESS: u64 = 1 << 56;

/// Maximum number of shared libraries that a program may name. Without a limit, the names of a damaged
/// table could take many times the file's size.
const MAX_NEEDED: usize = 1024;

/// Maximum size of a string that a program header or the dynamic table refers to.
const MAX_STRING_BYTES: usize = 4096;

/// Inspects a file's bytes.
pub fn inspect(file: &[u8]) -> Result<Binary, ElfError> {
    if let Some(rest) = file.strip_prefix(b"#!") {
        return inspect_script(rest);
    }
    if !file.starts_with(b"\x7fELF") {
        return Err(ElfError::UnknownFormat);
    }
    inspect_elf(file).map(Binary::Elf)
}

fn inspect_script(rest: &[u8]) -> Result<Binary, ElfError> {
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(MAX_STRING_BYTES)]);
    let interpreter = line
        .split_whitespace()
        .next()
        .ok_or(ElfError::NoInterpreter)?;
    Ok(Binary::Script {
        interpreter: interpreter.to_owned(),
    })
}

fn inspect_elf(file: &[u8]) -> Result<Elf, ElfError> {
    if file.get(4..6) != Some(&[2, 1]) {
        return Err(ElfError::WrongClass);
    }
    if let Some(&version) = file.get(6).filter(|version| **version != 1) {
        return Err(ElfError::WrongVersion(version));
    }
    let kind = u16_at(file, 16)?;
    if kind != EXECUTABLE && kind != POSITION_INDEPENDENT {
        return Err(ElfError::NotAProgram(kind));
    }
    let segments = segments(file)?;
    check_loaded(&segments, kind, file.len() as u64)?;
    let interpreter = match segments.iter().find(|segment| segment.kind == INTERPRETER) {
        Some(segment) => Some(string_at(file, segment.offset, "the interpreter's name")?),
        None => None,
    };
    Ok(Elf {
        machine: Machine::from_number(u16_at(file, 18)?),
        interpreter,
        needed: needed(file, &segments)?,
    })
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    bytes: u64,
    /// Its size in memory.
    size: u64,
}

fn segments(file: &[u8]) -> Result<Vec<Segment>, ElfError> {
    let table = u64_at(file, 32)?;
    let (entry_bytes, count) = (u16_at(file, 54)?, u16_at(file, 56)?);
    if entry_bytes != PROGRAM_HEADER_BYTES {
        return Err(ElfError::HeaderSize(entry_bytes));
    }
    if !(1..=MAX_PROGRAM_HEADERS).contains(&count) {
        return Err(ElfError::HeaderCount(count));
    }
    (0..u64::from(count))
        .map(|index| {
            let at = table
                .checked_add(index * u64::from(entry_bytes))
                .ok_or(ElfError::Damaged("the program header"))?;
            Ok(Segment {
                kind: u32_at(file, at)?,
                offset: u64_at(file, at.saturating_add(8))?,
                address: u64_at(file, at.saturating_add(16))?,
                bytes: u64_at(file, at.saturating_add(32))?,
                size: u64_at(file, at.saturating_add(40))?,
            })
        })
        .collect()
}

/// Checks what Linux and gVisor check when they load a program. A program that they refuse fails in the
/// sandbox, and would look like a failure of the sandbox.
fn check_loaded(segments: &[Segment], kind: u16, file_bytes: u64) -> Result<(), ElfError> {
    let mut lowest = if kind == EXECUTABLE {
        LOWEST_ADDRESS
    } else {
        0
    };
    let mut is_loaded = false;
    for (index, segment) in segments.iter().enumerate() {
        if segment.kind == LOAD {
            let defect = defect_of(segment, lowest, file_bytes);
            if let Some(defect) = defect {
                return Err(ElfError::Segment { index, defect });
            }
            lowest = segment.address;
            is_loaded = true;
        }
    }
    match is_loaded {
        true => Ok(()),
        false => Err(ElfError::NothingToLoad),
    }
}

/// Returns why a kernel would not load a segment.
fn defect_of(segment: &Segment, lowest: u64, file_bytes: u64) -> Option<&'static str> {
    let end = |start: u64, size| start.checked_add(size);
    let is_mapped = segment.bytes > 0;
    if is_mapped && end(segment.offset, segment.bytes).is_none_or(|end| end > file_bytes) {
        Some("names bytes outside the file")
    } else if segment.bytes > segment.size {
        Some("has more bytes in the file than in memory")
    } else if end(segment.address, segment.size).is_none_or(|end| end > HIGHEST_ADDRESS) {
        Some("names addresses that no process has")
    } else if segment.address < lowest {
        Some("names a lower address than a program may have there")
    } else if is_mapped && segment.offset % PAGE != segment.address % PAGE {
        Some("has an address that does not fit its place in the file")
    } else {
        None
    }
}

fn needed(file: &[u8], segments: &[Segment]) -> Result<Vec<String>, ElfError> {
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == DYNAMIC) else {
        return Ok(Vec::new());
    };
    let mut strings = None;
    let mut names = BTreeSet::new();
    let mut order = Vec::new();
    for index in 0..dynamic.bytes / 16 {
        let at = dynamic.offset.saturating_add(index * 16);
        let value = u64_at(file, at.saturating_add(8))?;
        match u64_at(file, at)? {
            DT_NULL => break,
            DT_NEEDED if names.insert(value) => {
                if names.len() > MAX_NEEDED {
                    return Err(ElfError::TooManyLibraries);
                }
                order.push(value);
            }
            DT_STRTAB => strings = Some(value),
            _ => {}
        }
    }
    if order.is_empty() {
        return Ok(Vec::new());
    }
    let table = strings
        .and_then(|address| offset_of(address, segments))
        .ok_or(ElfError::Damaged("the string table"))?;
    order
        .into_iter()
        .map(|name| string_at(file, table.saturating_add(name), "a library's name"))
        .collect()
}

/// Returns the offset in the file of what is loaded at `address`.
fn offset_of(address: u64, segments: &[Segment]) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.kind == LOAD)
        .find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            (within < segment.bytes).then(|| segment.offset.saturating_add(within))
        })
}

fn string_at(file: &[u8], offset: u64, what: &'static str) -> Result<String, ElfError> {
    let start = usize::try_from(offset).map_err(|_| ElfError::Damaged(what))?;
    let rest = file.get(start..).ok_or(ElfError::Damaged(what))?;
    let rest = &rest[..rest.len().min(MAX_STRING_BYTES)];
    let end = rest
        .iter()
        .position(|byte| *byte == 0)
        .ok_or(ElfError::Damaged(what))?;
    Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn u16_at(file: &[u8], offset: u64) -> Result<u16, ElfError> {
    array_at(file, offset).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], offset: u64) -> Result<u32, ElfError> {
    array_at(file, offset).map(u32::from_le_bytes)
}

fn u64_at(file: &[u8], offset: u64) -> Result<u64, ElfError> {
    array_at(file, offset).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(file: &[u8], offset: u64) -> Result<[u8; N], ElfError> {
    usize::try_from(offset)
        .ok()
        .and_then(|start| file.get(start..)?.first_chunk())
        .copied()
        .ok_or(ElfError::Damaged("a header"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn this_program() -> Vec<u8> {
        std::fs::read("/proc/self/exe").expect("this program")
    }

    #[test]
    fn this_program_is_an_elf_for_this_machine() {
        let Ok(Binary::Elf(elf)) = inspect(&this_program()) else {
            panic!("not a program")
        };
        assert_eq!(elf.machine, Machine::here());
        // A statically linked program names no library, a dynamically linked one names at least libc.
        assert_eq!(
            elf.interpreter.is_some(),
            elf.needed.iter().any(|name| name.starts_with("libc."))
        );
    }

    #[test]
    fn a_dynamic_program_has_a_loader_and_names_libc() {
        let shell = std::fs::read("/bin/sh").expect("a shell");
        let Ok(Binary::Elf(elf)) = inspect(&shell) else {
            panic!("not a program")
        };
        assert!(elf.interpreter.is_some_and(|path| path.starts_with('/')));
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.")));
    }

    #[test]
    fn a_script_has_the_interpreter_of_its_first_line() {
        let script = |text: &str| inspect(text.as_bytes());
        assert_eq!(
            script("#! /bin/sh -e\n"),
            Ok(Binary::Script {
                interpreter: "/bin/sh".into()
            })
        );
        assert_eq!(script("#!\n"), Err(ElfError::NoInterpreter));
        assert_eq!(script("hello"), Err(ElfError::UnknownFormat));
        assert_eq!(script(""), Err(ElfError::UnknownFormat));
    }

    #[test]
    fn a_binary_that_cannot_run_is_refused() {
        let mut file = this_program();
        file[4] = 1;
        assert_eq!(inspect(&file), Err(ElfError::WrongClass));
        file[4] = 2;
        file[16] = 1;
        assert_eq!(inspect(&file), Err(ElfError::NotAProgram(1)));
        assert!(matches!(
            inspect(&this_program()[..40]),
            Err(ElfError::Damaged(_))
        ));
    }

    /// This program with bytes replaced. Field offsets are those of the ELF specification.
    fn changed(at: usize, bytes: &[u8]) -> Result<Binary, ElfError> {
        let mut file = this_program();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        inspect(&file)
    }

    /// The offset of the first program header that loads something.
    fn first_loaded() -> usize {
        let file = this_program();
        let table = usize::try_from(u64_at(&file, 32).unwrap()).unwrap();
        let count = usize::from(u16_at(&file, 56).unwrap());
        let mut entries = (0..count).map(|index| table + 56 * index);
        entries
            .find(|at| u32_at(&file, *at as u64).unwrap() == LOAD)
            .unwrap()
    }

    #[test]
    fn program_headers_that_no_kernel_reads_are_refused() {
        assert_eq!(changed(6, &[7]), Err(ElfError::WrongVersion(7)));
        assert_eq!(changed(54, &[57, 0]), Err(ElfError::HeaderSize(57)));
        assert_eq!(changed(54, &[0, 0]), Err(ElfError::HeaderSize(0)));
        assert_eq!(changed(56, &[0, 0]), Err(ElfError::HeaderCount(0)));
        assert_eq!(changed(56, &[74, 0]), Err(ElfError::HeaderCount(74)));
        let error = ElfError::HeaderSize(57).to_string();
        assert_eq!(
            error,
            "damaged: its program headers have 57 bytes each, not 56"
        );
    }

    #[test]
    fn segments_that_no_kernel_loads_are_refused() {
        let at = first_loaded();
        let defect = |field: usize, value: u64| match changed(at + field, &value.to_le_bytes()) {
            Err(ElfError::Segment { defect, .. }) => defect,
            other => panic!("{other:?}"),
        };
        let (offset, address, bytes, size) = (8, 16, 32, 40);
        assert_eq!(defect(offset, u64::MAX), "names bytes outside the file");
        assert_eq!(defect(bytes, 1 << 40), "names bytes outside the file");
        assert_eq!(defect(size, 0), "has more bytes in the file than in memory");
        assert_eq!(
            defect(size, u64::MAX),
            "names addresses that no process has"
        );
        assert!(defect(address, 1).contains("address"));
        assert!(defect(offset, 1).contains("does not fit"));
        let mut file = this_program();
        let count = usize::from(u16_at(&file, 56).unwrap());
        let table = usize::try_from(u64_at(&file, 32).unwrap()).unwrap();
        file[table..table + 56 * count].fill(0);
        assert_eq!(inspect(&file), Err(ElfError::NothingToLoad));
    }

    #[test]
    fn a_program_at_a_fixed_address_may_not_have_the_lowest() {
        let mut file = vec![0; 4096];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16] = 2;
        (file[18], file[32], file[54], file[56]) = (62, 64, 56, 1);
        file[64] = 1;
        let is_refused = |file: &[u8]| matches!(inspect(file), Err(ElfError::Segment { .. }));
        assert!(is_refused(&file));
        // The address 0x400000.
        file[64 + 16 + 2] = 0x40;
        assert!(!is_refused(&file));
    }

    proptest! {
        #[test]
        fn damaged_headers_never_panic(
            changes in proptest::collection::vec((0usize..1024, any::<u8>()), 1..20),
            length in 0usize..8192,
        ) {
            let mut file = this_program();
            file.truncate(length.max(1024));
            for (at, byte) in changes {
                file[at] = byte;
            }
            file[..4].copy_from_slice(b"\x7fELF");
            let _ = inspect(&file);
        }
    }
}
