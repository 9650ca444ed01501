//! Damaged variants of good inputs, the same ones in every run.

/// Steele and Vigna's SplitMix64: enough to pick places and values.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`; 0 when that is 0.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % (limit.max(1) as u64)) as usize
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// One of `seeds` with one to four changes.
pub fn damaged(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.pick(seeds).clone();
    for _ in 0..=random.below(4) {
        change(random, &mut bytes, seeds);
    }
    bytes
}

/// What nests or goes on in some format.
const OPENINGS: [&[u8]; 24] = [
    b"(",
    b"$(",
    b"$((",
    b"`",
    b"\"$(",
    b"${",
    b"{",
    b"[",
    b"[[",
    b"{a,",
    b"{a,b}",
    b"<a>",
    b"<<E\n",
    b"'",
    b"\\\n",
    b"if a; then ",
    b"case a in b) ",
    b"a=$a$a\n",
    b"[a]\n",
    b"[[a]]\n",
    b"a.",
    b"include *\n",
    b"\x1b",
    b"#!/a\n",
];

/// A seed with many times the same in the place of some of it: what is nested deeper than a stack is, and what takes time
/// by the square of its length.
pub fn repeated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    const LENGTH: usize = 40_000;
    let seed = random.pick(seeds);
    let at = place(random, seed);
    let mut piece = match random.below(2) {
        0 => random.pick(&OPENINGS).to_vec(),
        _ => piece(random, seeds),
    };
    piece.resize(piece.len().max(1), b'(');
    let rest = at + random.below((seed.len() - at).min(64));
    let many = piece.iter().copied().cycle().take(LENGTH);
    seed[..at].iter().copied().chain(many).chain(seed[rest..].iter().copied()).collect()
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = place(random, bytes);
    match random.below(8) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = *random.pick(b"\0\xff\x7f\x80 \n/\"'{}=0978fF")),
        2 | 3 => {
            let number = number(random, bytes.len());
            overwrite(bytes, at, &number);
        }
        4 => bytes.truncate(at),
        5 => {
            let end = at + random.below((bytes.len() - at).min(64));
            bytes.drain(at..end);
        }
        6 => {
            let piece = piece(random, seeds);
            bytes.splice(at..at, piece);
        }
        _ => {
            let piece = piece(random, seeds);
            overwrite(bytes, at, &piece);
        }
    }
}

/// A place in the bytes, at something that is not zero where possible: images are mostly holes.
fn place(random: &mut Random, bytes: &[u8]) -> usize {
    let at = random.below(bytes.len());
    at + bytes[at..].iter().position(|byte| *byte != 0).unwrap_or(0)
}

/// A number at a border of its type or of the input, in one of the sizes and orders that files have.
fn number(random: &mut Random, length: usize) -> Vec<u8> {
    let length = length as u64;
    let small = random.next() % 70;
    let values = [0, 1, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, u64::MAX >> 1, u64::MAX - 7, u64::MAX];
    let near = [length - length.min(1), length, length + 1, length / 2, small, small << 9, small << 32];
    let value = *random.pick(&[&values[..], &near[..]].concat());
    let width = *random.pick(&[2, 4, 8]);
    let mut bytes = value.to_le_bytes()[..width].to_vec();
    if random.below(4) == 0 {
        bytes.reverse();
    }
    bytes
}

/// Up to 64 bytes of some seed.
fn piece(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let seed = random.pick(seeds);
    let at = place(random, seed);
    let length = random.below(64);
    seed[at..].iter().copied().take(length).collect()
}

fn overwrite(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new);
}
