import type { FunctionDefinitions } from 'node:ffi';

/** `node:ffi` does not exist, is not allowed, or this C library lacks one of the functions. */
const unavailable = new Set(['ERR_UNKNOWN_BUILTIN_MODULE', 'ERR_ACCESS_DENIED', 'ERR_FFI_CALL_FAILED']);

/**
 * Functions of Linux's C library. Undefined on other systems, and without `node:ffi` (Node 26, experimental; under
 * --permission it needs --allow-ffi).
 */
export async function loadLibc<const T extends FunctionDefinitions>(functions: T) {
  if (process.platform !== 'linux') return undefined;
  try {
    const { dlopen, getInt32 } = await import('node:ffi');
    return { libc: dlopen(null, functions).functions, getInt32 };
  } catch (error) {
    if (unavailable.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
