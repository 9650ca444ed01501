//! Structures with fields at fixed offsets: one table gives the type, its reader, its writer and the list of places.
//!
//! UFS images of x86 are little-endian. Nothing here judges a value; that is for those who use it.

/// A value of the disk.
pub trait Field: Sized {
    /// Bytes on the disk.
    const SIZE: usize;

    /// Reads the value at the start of `bytes`, which has [`Field::SIZE`] bytes at least.
    fn get(bytes: &[u8]) -> Self;

    /// Writes the value to the start of `bytes`, which has [`Field::SIZE`] bytes at least.
    fn put(&self, bytes: &mut [u8]);
}

/// Where a field is, for messages and for tests that damage it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldPlace {
    pub name: &'static str,
    /// Bytes from the start of the structure.
    pub offset: usize,
    pub size: usize,
}

/// There are fewer bytes than the structure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {structure} is cut off: {found} of {needed} bytes")]
pub struct Truncated {
    pub structure: &'static str,
    pub needed: usize,
    pub found: usize,
}

macro_rules! integer_fields {
    ($($integer:ty),*) => {$(
        impl Field for $integer {
            const SIZE: usize = size_of::<$integer>();

            fn get(bytes: &[u8]) -> $integer {
                <$integer>::from_le_bytes(bytes[..Self::SIZE].try_into().expect("the length is right"))
            }

            fn put(&self, bytes: &mut [u8]) {
                bytes[..Self::SIZE].copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

integer_fields!(u8, u16, i16, u32, i32, u64);

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    const SIZE: usize = T::SIZE * N;

    fn get(bytes: &[u8]) -> [T; N] {
        std::array::from_fn(|index| T::get(&bytes[index * T::SIZE..]))
    }

    fn put(&self, bytes: &mut [u8]) {
        for (value, place) in self.iter().zip(bytes.chunks_mut(T::SIZE)) {
            value.put(place);
        }
    }
}

/// Declares a structure of so many bytes with its fields and their offsets; bytes between them are zero when written
/// and not looked at when read.
macro_rules! on_disk {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $words:literal, $size:literal bytes {
            $($(#[$field_meta:meta])* pub $field:ident: $kind:ty = $offset:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $kind,)*
        }

        impl $name {
            /// Bytes on the disk.
            pub const SIZE: usize = $size;
            /// The fields in the order of the disk.
            pub const FIELDS: &'static [$crate::ufs::FieldPlace] = &[$($crate::ufs::FieldPlace {
                name: stringify!($field),
                offset: $offset,
                size: <$kind as $crate::ufs::Field>::SIZE,
            },)*];

            /// Reads the structure from the start of `bytes`.
            ///
            /// # Errors
            /// There are too few bytes. Any value is taken.
            pub fn read(bytes: &[u8]) -> Result<$name, $crate::ufs::Truncated> {
                match bytes.get(..$size) {
                    Some(bytes) => Ok(<$name as $crate::ufs::Field>::get(bytes)),
                    None => Err($crate::ufs::Truncated { structure: $words, needed: $size, found: bytes.len() }),
                }
            }

            /// Writes the structure to the start of `bytes`.
            ///
            /// # Panics
            /// There are fewer than [`Self::SIZE`] bytes.
            pub fn write(&self, bytes: &mut [u8]) {
                $crate::ufs::Field::put(self, bytes);
            }
        }

        impl $crate::ufs::Field for $name {
            const SIZE: usize = $size;

            fn get(bytes: &[u8]) -> $name {
                $name { $($field: $crate::ufs::Field::get(&bytes[$offset..]),)* }
            }

            fn put(&self, bytes: &mut [u8]) {
                bytes[..$size].fill(0);
                $($crate::ufs::Field::put(&self.$field, &mut bytes[$offset..]);)*
            }
        }
    };
}

pub(super) use on_disk;

#[cfg(test)]
mod tests {
    use crate::ufs::{FieldPlace, GroupHeader, Inode, Summary, Superblock};

    #[test]
    fn fields_are_in_order_inside_their_structure_and_do_not_overlap() {
        for (size, fields) in [
            (Summary::SIZE, Summary::FIELDS),
            (Superblock::SIZE, Superblock::FIELDS),
            (GroupHeader::SIZE, GroupHeader::FIELDS),
            (Inode::SIZE, Inode::FIELDS),
        ] {
            let end = |field: &FieldPlace| field.offset + field.size;
            for pair in fields.windows(2) {
                assert!(end(&pair[0]) <= pair[1].offset, "{} reaches into {}", pair[0].name, pair[1].name);
            }
            assert!(end(fields.last().unwrap()) <= size);
        }
    }
}
