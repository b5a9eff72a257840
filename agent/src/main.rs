//! The `tracemend` command.
fn main() {
    println!("{:#?}", tracemend::attach::probe());
}
