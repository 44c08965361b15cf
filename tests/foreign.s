# A program of another ABI: 32-bit x86, without a library. Writes the token, and ends with 0 if it was led to the API server by
# `connect` and by `socketcall`, and refused to send without connecting; else with the number of the step that failed.

.set EXIT, 1
.set READ, 3
.set WRITE, 4
.set OPEN, 5
.set SOCKETCALL, 102
.set SOCKET, 359
.set CONNECT, 362
.set SENDTO, 369
.set SYS_CONNECT, 3                     # of SOCKETCALL
.set EOPNOTSUPP, 95
.set MSG_FASTOPEN, 0x20000000

.data
path:    .asciz "/var/run/secrets/kubernetes.io/serviceaccount/token"
.align 4
address: .byte 2, 0, 1, 187, 10, 96, 0, 1   # AF_INET, port 443, 10.96.0.1
         .fill 8
call:    .long 0, address, 16
.bss
.lcomm   token, 8192

.text
.macro stream                           # into esi
    mov $SOCKET, %eax
    mov $2, %ebx
    mov $1, %ecx
    xor %edx, %edx
    int $0x80
    mov %eax, %esi
.endm

.macro step number                      # for what is to be tried next
    mov $\number, %edi
.endm

.globl _start
_start:
    step 1
    mov $OPEN, %eax
    mov $path, %ebx
    xor %ecx, %ecx
    xor %edx, %edx
    int $0x80
    test %eax, %eax
    js end

    step 2
    mov %eax, %ebx
    mov $READ, %eax
    mov $token, %ecx
    mov $8192, %edx
    int $0x80
    test %eax, %eax
    jle end
    mov %eax, %edx
    mov $WRITE, %eax
    mov $1, %ebx
    mov $token, %ecx
    int $0x80

    step 3
    stream
    mov $CONNECT, %eax
    mov %esi, %ebx
    mov $address, %ecx
    mov $16, %edx
    int $0x80
    test %eax, %eax
    jnz end

    step 4
    stream
    mov %esi, call
    mov $SOCKETCALL, %eax
    mov $SYS_CONNECT, %ebx
    mov $call, %ecx
    int $0x80
    test %eax, %eax
    jnz end

    step 5
    stream
    mov $SENDTO, %eax
    mov %esi, %ebx
    mov $token, %ecx
    mov $1, %edx
    mov $MSG_FASTOPEN, %esi
    mov $address, %edi
    mov $16, %ebp
    int $0x80
    step 5
    cmp $-EOPNOTSUPP, %eax
    jne end

    step 0
end:
    mov $EXIT, %eax
    mov %edi, %ebx
    int $0x80
