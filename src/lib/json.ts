/** A replacer for JSON.stringify that writes a bigint as text: no digit is lost. */
export const bigintsAsText = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value;
