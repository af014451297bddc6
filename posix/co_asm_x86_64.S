/*
 * Stack switching on x86-64 (System V ABI). rbx, rbp and r12 to r15 are preserved; the control words of
 * the floating-point units belong to the thread and are left alone. The way back is a jump instead of a
 * return: the return address predictor knows the address of the caller, which is another function.
 *
 * SPDX-License-Identifier: MIT
 */
    .text

/* Saved registers, from the stack pointer upwards: r15 r14 r13 r12 rbx rbp and the return address. */
    .macro save_registers
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    .endm

    .macro load_registers
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    popq    %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmpq    *%rcx
    .cfi_endproc
    .endm

/* void aio__co_asm_switch(AioCoState *from, AioCoState *to) */
    .globl  aio__co_asm_switch
    .hidden aio__co_asm_switch
    .type   aio__co_asm_switch, @function
    .p2align 5
aio__co_asm_switch:
    save_registers
    movq    %rsp, (%rdi)
    movq    (%rsi), %rsp
    load_registers
    .size   aio__co_asm_switch, . - aio__co_asm_switch

/* void aio__co_asm_switch_then(AioCoState *from, AioCoState *to, void (*then)(void *), void *arg) */
    .globl  aio__co_asm_switch_then
    .hidden aio__co_asm_switch_then
    .type   aio__co_asm_switch_then, @function
    .p2align 5
aio__co_asm_switch_then:
    save_registers
    movq    %rsp, (%rdi)
    movq    (%rsi), %rsp
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    call    aio__co_asm_arrived
    addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    load_registers
    .size   aio__co_asm_switch_then, . - aio__co_asm_switch_then

/* void aio__co_asm_prepare(AioCoState *state, void *top): the first load_registers leads to `begin`. */
    .globl  aio__co_asm_prepare
    .hidden aio__co_asm_prepare
    .type   aio__co_asm_prepare, @function
    .p2align 4
aio__co_asm_prepare:
    .cfi_startproc
    leaq    -72(%rsi), %rdx
    leaq    begin(%rip), %rax
    movq    %rdi, 32(%rdx)
    movq    $0, 40(%rdx)
    movq    %rax, 48(%rdx)
    movq    %rdx, (%rdi)
    ret
    .cfi_endproc
    .size   aio__co_asm_prepare, . - aio__co_asm_prepare

/* The outermost frame of a stack: rbx is the state, the stack is aligned, and nothing ever returns here. */
    .type   begin, @function
    .p2align 4
begin:
    .cfi_startproc
    .cfi_undefined rip
    movq    %rbx, %rdi
    call    aio__co_asm_begin
    ud2
    .cfi_endproc
    .size   begin, . - begin

    .section .note.GNU-stack, "", @progbits
