import { entry } from './entry.ts';

/** Configuration of a `stdout` sink. */
export const stdoutOptions = entry('stdout');
