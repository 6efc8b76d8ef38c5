import type { Result } from './result.ts';
export function writeDocs(_: Result): void {}
