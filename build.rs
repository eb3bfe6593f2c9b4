//! Makes cargo notice when a file is added to or removed from `sql/`, which
//! the binary carries.

fn main() {
    println!("cargo:rerun-if-changed=sql");
}
