/* Plays `unix` of illumos: a Multiboot 1 kernel that says on COM1 what the boot loader handed over. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

__asm__(".section .multiboot, \"a\"\n.align 4\n.long 0x1badb002, 3, -(0x1badb002 + 3)\n"
        ".text\n.globl _start\n_start: mov $stack_end, %esp\npush %ebx\npush %eax\ncall start\n1: hlt\njmp 1b\n"
        ".bss\n.align 16\n.skip 16384\nstack_end:\n.text\n");

static void outb(unsigned short port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static u8 inb(unsigned short port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static void put(char c) { while (!(inb(0x3fd) & 0x20)) ; outb(0x3f8, c); }
static void say(const char *s) { while (*s) put(*s++); }

/* SHA-256 of FIPS 180-4. */
static const u32 H[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
    0x5be0cd19};
static const u32 K[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7,
    0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc,
    0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351,
    0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
    0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
    0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};
static u32 ror(u32 x, int n) { return x >> n | x << (32 - n); }
static void block(u32 *h, const u8 *p) {
    u32 w[64], s[8];
    for (int i = 0; i < 16; i++) w[i] = (u32)p[4*i] << 24 | p[4*i+1] << 16 | p[4*i+2] << 8 | p[4*i+3];
    for (int i = 16; i < 64; i++) {
        u32 a = w[i-15], b = w[i-2];
        w[i] = w[i-16] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[i-7] + (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++) s[i] = h[i];
    for (int i = 0; i < 64; i++) {
        u32 t = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
        u32 u = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        for (int j = 7; j > 0; j--) s[j] = s[j-1];
        s[4] += t;
        s[0] = t + u;
    }
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

void start(u32 magic, u32 *info) {
    say("minroot-stub");
    say(magic == 0x2badb002 ? " multiboot" : " no-multiboot");
    say(" line=[");
    if (info[0] & 4) say((const char *)info[4]);
    u32 *module = (u32 *)info[6];
    const u8 *archive = (const u8 *)module[0];
    u32 size = module[1] - module[0];
    say("] module=[");
    say((const char *)module[2]);
    say(*(const u32 *)(archive + 8192 + 1372) == 0x011954 ? "] ufs sha256=" : "] no-ufs sha256=");
    u32 h[8];
    for (int i = 0; i < 8; i++) h[i] = H[i];
    u32 at = 0;
    for (; at + 64 <= size; at += 64) block(h, archive + at);
    u8 tail[128];
    u32 rest = size - at, padded = rest < 56 ? 64 : 128;
    for (u32 i = 0; i < 128; i++) tail[i] = i < rest ? archive[at + i] : i == rest ? 0x80 : 0;
    u64 bits = (u64)size * 8;
    for (u32 i = 0; i < 8; i++) tail[padded - 1 - i] = bits >> 8 * i;
    for (u32 i = 0; i < padded; i += 64) block(h, tail + i);
    for (int i = 0; i < 8; i++)
        for (int n = 28; n >= 0; n -= 4) put("0123456789abcdef"[h[i] >> n & 15]);
    say(" end\r\n");
    outb(0xf4, 0);
}
