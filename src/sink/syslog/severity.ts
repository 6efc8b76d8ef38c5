/** Severities of RFC 5424 table 2, by name. */
export const severities = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
} as const;
export type SeverityName = keyof typeof severities;

/** The built-in table: the first row that matches wins. What no row knows is informational. */
const table: readonly (readonly [RegExp, SeverityName])[] = [
  [/(^|[^a-z])(read|view(ed)?|list(ed)?|get)$/, 'info'],
  [/(log_?in|sign_?in|auth|password|mfa|2fa|otp|sso|saml).*(fail|den(y|ied)|reject|invalid|lock|block)/, 'warning'],
  [/(permission|privilege|role|admin|owner|access|api_?key|token|secret|mfa|2fa|sso|saml|scim|allow_?list)/, 'warning'],
  [/(fail|den(y|ied)|suspend|deactivat|disabl|revok)/, 'warning'],
  [/(delet|remov|destroy|purg|eras|wip)/, 'notice'],
];

/** Severity by action: `overrides` (globs, in the order written) before the built-in table. */
export function severityByAction(overrides: Readonly<Record<string, SeverityName>> = {}): (action: string) => number {
  const own = Object.entries(overrides);
  return (action) => {
    const override = own.find(([glob]) => globMatches(glob, action));
    if (override !== undefined) return severities[override[1]];
    const word = action.slice(0, 256).toLowerCase();
    return severities[table.find(([pattern]) => pattern.test(word))?.[1] ?? 'info'];
  };
}

/** Whether `text` is what `glob` describes; `*` stands for any characters, dots too. Linear in both. */
function globMatches(glob: string, text: string): boolean {
  const pieces = glob.split('*');
  const first = pieces[0] ?? '';
  if (pieces.length === 1) return glob === text;
  const last = pieces[pieces.length - 1] ?? '';
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}
