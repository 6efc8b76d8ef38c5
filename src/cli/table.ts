/** Rows in columns as wide as their widest cell, two spaces apart; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** One line of JSON, ids as strings of digits. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? String(member) : member))}\n`;
}
