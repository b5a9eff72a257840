//! What every built object must be, whatever its programs do.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionIndex, SectionKind, SymbolKind};

use super::stack;

/// The kernel keeps 15 bytes of a program's name (`BPF_OBJ_NAME_LEN`); a longer one is cut, and no list shows it.
const NAME_BYTES_MAX: usize = 15;
/// Some helpers are for GPL-compatible programs only (`kernel/bpf/core.c`, `license_is_gpl_compatible`).
const LICENSE: &[u8] = b"Dual MIT/GPL\0";
/// Bytes of one BPF instruction (`struct bpf_insn`).
const INSTRUCTION_BYTES: u64 = 8;

/// Checks the object and returns a report: one line per program with its section and size in instructions.
pub(super) fn check(bytes: &[u8]) -> Result<String> {
    let file = object::File::parse(bytes).context("the built object is not ELF")?;
    license(&file)?;
    ensure!(file.section_by_name(".BTF").is_some(), "no .BTF section: neither BTF tracepoints nor BTF maps would load");
    let mut report = String::new();
    let mut total = 0;
    for program in programs(&file)? {
        ensure!(
            program.name.len() <= NAME_BYTES_MAX,
            "program name `{}` has {} bytes, the kernel keeps {NAME_BYTES_MAX}",
            program.name,
            program.name.len()
        );
        writeln!(report, "  {:<15} {:>6} instructions  {}", program.name, program.instructions, program.section)?;
        total += 1;
    }
    let stack = stack::check(&file)?;
    writeln!(
        report,
        "  {total} programs, license ok, BTF ok, probes of user space take {stack} bytes of stack at most"
    )?;
    Ok(report)
}

fn license(file: &object::File<'_>) -> Result<()> {
    let section = file.section_by_name("license").context("no license section: the kernel refuses GPL-only helpers")?;
    let found = section.data().context("unreadable license section")?;
    if found != LICENSE {
        bail!(
            "the license section says {:?}, not {:?}",
            String::from_utf8_lossy(found),
            String::from_utf8_lossy(LICENSE)
        );
    }
    Ok(())
}

struct Program {
    name: String,
    section: String,
    instructions: u64,
}

/// Functions outside `.text` are programs; those inside are called by them.
fn programs(file: &object::File<'_>) -> Result<Vec<Program>> {
    let mut found = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0) {
        let Some(section) = text_section(file, symbol.section_index())? else {
            continue;
        };
        let name = symbol.name().context("a program without a name")?.to_owned();
        found.push(Program { name, section, instructions: symbol.size() / INSTRUCTION_BYTES });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn text_section(file: &object::File<'_>, index: Option<SectionIndex>) -> Result<Option<String>> {
    let Some(index) = index else { return Ok(None) };
    let section = file.section_by_index(index)?;
    let name = section.name().context("a section without a name")?;
    Ok((section.kind() == SectionKind::Text && name != ".text").then(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use object::write::{Object, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolScope};

    use super::*;

    /// An object with one program in `section`, two instructions long.
    fn object(program: &str, section: &str, license: &[u8], btf: bool) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
        let text = object.add_section(Vec::new(), section.into(), SectionKind::Text);
        object.append_section_data(text, &[0; 16], 8);
        object.add_symbol(Symbol {
            name: program.into(),
            value: 0,
            size: 16,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::None,
        });
        if !license.is_empty() {
            let section = object.add_section(Vec::new(), b"license".into(), SectionKind::Data);
            object.append_section_data(section, license, 1);
        }
        if btf {
            let section = object.add_section(Vec::new(), b".BTF".into(), SectionKind::Other);
            object.append_section_data(section, &[1], 1);
        }
        object.write().expect("a writable object")
    }

    #[test]
    fn a_good_object_is_reported_program_by_program() {
        let report = check(&object("sock_send_out", "tp_btf/sock_send_length", LICENSE, true)).expect("good");
        assert!(report.contains("sock_send_out        2 instructions  tp_btf/sock_send_length"), "{report}");
        assert!(report.contains("1 programs"), "{report}");
    }

    #[test]
    fn fifteen_bytes_of_name_pass_and_sixteen_do_not() {
        check(&object("fifteen_letters", "raw_tp/x", LICENSE, true)).expect("15 bytes");
        let error = check(&object("sixteen__letters", "raw_tp/x", LICENSE, true)).expect_err("16 bytes");
        assert!(error.to_string().contains("sixteen__letters"), "{error}");
        // A function that is only called is no program, whatever its name.
        check(&object("a_long_name_of_a_function", ".text", LICENSE, true)).expect("not a program");
    }

    #[test]
    fn another_license_or_none_is_refused() {
        assert!(check(&object("p", "raw_tp/x", b"", true)).is_err());
        let error = check(&object("p", "raw_tp/x", b"MIT\0", true)).expect_err("not the license");
        assert!(error.to_string().contains("MIT"), "{error}");
    }

    #[test]
    fn an_object_without_btf_is_refused() {
        let error = check(&object("p", "raw_tp/x", LICENSE, false)).expect_err("no BTF");
        assert!(error.to_string().contains(".BTF"), "{error}");
    }

    #[test]
    fn what_is_not_elf_is_refused() {
        assert!(check(b"not an object").is_err());
    }
}
