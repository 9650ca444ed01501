# The program that decides whether KVM works: from the reset vector to 64-bit mode, then the instructions on which
# incomplete virtualisation is known to stop, then a stretch of plain computing, then the answer.
#
# It takes the place of the firmware (`qemu -bios`), is loaded at 0xff000, and is entered in real mode. RAM is zero
# at power-on. Addresses used: page tables 0x1000-0x3fff, IDT 0x4000, operands 0x5000 and 0x6000, stack below 0x8000.
#
# The bytes in payload.rs are this file's; a test assembles it and compares:
#   as -o probe.o probe.S && ld -Ttext=0xff000 --oformat binary -o probe.bin probe.o

        .text
        .globl _start
        .code16
_start:
        cli
        lgdtl   %cs:(gdt_pointer - 0xf0000)
        movl    %cr0, %eax
        orb     $0x01, %al                      # CR0.PE
        movl    %eax, %cr0
        ljmpl   $0x08, $protected

        .code32
protected:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $0x2003, 0x1000                 # PML4[0]
        movl    $0x3003, 0x2000                 # PDPT[0]
        movl    $0x0083, 0x3000                 # PD[0]: the first 2 MiB, one large page
        movl    $0x1000, %eax
        movl    %eax, %cr3
        movl    $0x0620, %eax                   # CR4.PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx               # EFER
        rdmsr
        orl     $0x0100, %eax                   # EFER.LME
        wrmsr
        movl    $0x80000033, %eax               # CR0.PG, NE, ET, MP, PE
        movl    %eax, %cr0
        ljmpl   $0x18, $long_mode

        .code64
long_mode:
        movl    $0x8000, %esp

        # A breakpoint, as the kernel's int3_selftest() takes one at every boot.
        movl    $breakpoint, %eax
        movw    %ax, 0x4030                     # gate 3: offset 15..0
        movw    $0x18, 0x4032                   # selector
        movw    $0x8e00, 0x4034                 # present, interrupt gate
        shrl    $16, %eax
        movw    %ax, 0x4036                     # offset 31..16
        lidt    idt_pointer
        xorl    %ebp, %ebp
        int3
        testl   %ebp, %ebp
        jz      hang

        # cmpxchg16b, as in the kernel's memory allocator. An x86-64 processor may lack it: CPUID.1:ECX bit 13.
        movl    $1, %eax
        xorl    %ecx, %ecx
        cpuid
        movl    %ecx, %esi
        testl   $0x2000, %esi
        jz      2f
        xorl    %eax, %eax
        xorl    %edx, %edx
        movl    $0x5a, %ebx
        xorl    %ecx, %ecx
        lock cmpxchg16b 0x5000
        jnz     hang
        cmpl    $0x5a, 0x5000
        jne     hang
2:
        # xrstor, as in the kernel's FPU set-up: CPUID.1:ECX bit 26.
        testl   $0x04000000, %esi
        jz      3f
        movq    %cr4, %rax
        orl     $0x00040000, %eax               # CR4.OSXSAVE
        movq    %rax, %cr4
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        movl    $3, %eax                        # XCR0: x87 and SSE
        xsetbv
        xrstor64 0x6000
3:
        # Some 20 ms on a processor, minutes in an instruction emulator.
        movl    $0x04000000, %ecx
4:      decl    %ecx
        jnz     4b

        movb    $0x21, %al                      # isa-debug-exit: QEMU ends with status 0x21 * 2 + 1
        outb    %al, $0xf4
hang:
        hlt
        jmp     hang

breakpoint:
        incl    %ebp
        iretq

        .balign 8
gdt:    .quad   0                               # accessed bits are set: the table is in ROM
        .quad   0x00cf9b000000ffff              # 0x08: 32-bit code
        .quad   0x00cf93000000ffff              # 0x10: data
        .quad   0x00af9b000000ffff              # 0x18: 64-bit code
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   gdt
idt_pointer:
        .word   0x003f                          # vectors 0 to 3
        .quad   0x4000
