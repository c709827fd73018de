//! What has a name on the command line.

/// An enum whose values have names, with what each is, and what they are called together where a name is none of theirs.
macro_rules! named {
    ($(#[$about:meta])* $type:ident $noun:literal { $($value:ident $name:literal $help:literal;)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $type { $(#[doc = $help] $value),+ }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// Its name on the command line and in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name),+ }
            }

            /// What it is.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$value => $help),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|one| one.name() == text).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|one| one.name()).collect();
                    format!("there is no {} {text}; there are {}", $noun, names.join(", "))
                })
            }
        }
    };
}

pub(crate) use named;
