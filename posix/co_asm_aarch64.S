/*
 * Stack switching on aarch64 (AAPCS64). x19 to x30 and the low halves of v8 to v15 are preserved; the
 * floating-point control register belongs to the thread and is left alone. The way back is a `ret`, not
 * a `br`: with branch target identification only that may lead behind a call.
 *
 * SPDX-License-Identifier: MIT
 */
    .text

/* Saved registers, from the stack pointer upwards: x19 to x30, d8 to d15. */
    .macro save_registers
    .cfi_startproc
    sub     sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    .endm

    .macro load_registers
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .endm

/* void aio__co_asm_switch(AioCoState *from, AioCoState *to) */
    .globl  aio__co_asm_switch
    .hidden aio__co_asm_switch
    .type   aio__co_asm_switch, %function
    .p2align 4
aio__co_asm_switch:
    save_registers
    mov     x9, sp
    str     x9, [x0]
    ldr     x10, [x1]
    mov     sp, x10
    load_registers
    .size   aio__co_asm_switch, . - aio__co_asm_switch

/* void aio__co_asm_switch_then(AioCoState *from, AioCoState *to, void (*then)(void *), void *arg) */
    .globl  aio__co_asm_switch_then
    .hidden aio__co_asm_switch_then
    .type   aio__co_asm_switch_then, %function
    .p2align 4
aio__co_asm_switch_then:
    save_registers
    mov     x9, sp
    str     x9, [x0]
    ldr     x10, [x1]
    mov     sp, x10
    mov     x0, x1
    mov     x1, x2
    mov     x2, x3
    bl      aio__co_asm_arrived
    load_registers
    .size   aio__co_asm_switch_then, . - aio__co_asm_switch_then

/* void aio__co_asm_prepare(AioCoState *state, void *top): the first load_registers leads to `begin`. */
    .globl  aio__co_asm_prepare
    .hidden aio__co_asm_prepare
    .type   aio__co_asm_prepare, %function
    .p2align 4
aio__co_asm_prepare:
    .cfi_startproc
    sub     x9, x1, #176
    adr     x10, begin
    str     x0, [x9, #0]
    stp     xzr, x10, [x9, #80]
    str     x9, [x0]
    ret
    .cfi_endproc
    .size   aio__co_asm_prepare, . - aio__co_asm_prepare

/* The outermost frame of a stack: x19 is the state, and nothing ever returns here. */
    .type   begin, %function
    .p2align 4
begin:
    .cfi_startproc
    .cfi_undefined x30
    mov     x0, x19
    bl      aio__co_asm_begin
    brk     #1
    .cfi_endproc
    .size   begin, . - begin

    .section .note.GNU-stack, "", %progbits
