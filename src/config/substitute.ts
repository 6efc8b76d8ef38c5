export type Environment = Readonly<Record<string, string | undefined>>;

/** A string with its `${…}` replaced; `whole` if it consisted of one and nothing else. */
export type Substituted =
  | { readonly ok: true; readonly text: string; readonly whole: boolean }
  | { readonly ok: false; readonly message: string };

const reference = /\$\$\{|\$\{([^}]*)(\}?)/g;
const name = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/** A name in small letters may be a secret that was put between the braces by mistake. */
const shown = (variable: string) => (/^[A-Z_][A-Z0-9_]*$/.test(variable) ? `${variable} ` : '');

/**
 * Replaces `${NAME}` and `${NAME:-default}` once, not in inserted text; `$${` is a literal `${`. An empty variable counts as
 * set for `${NAME}` and as unset for `${NAME:-default}`. Messages name variables, never values.
 */
export function substitute(text: string, env: Environment): Substituted {
  let problem: string | undefined;
  const replaced = text.replace(reference, (_all: string, inner: string | undefined, end: string | undefined) => {
    if (inner === undefined) return '${';
    const [, variable, fallback] = name.exec(inner) ?? [];
    if (variable === undefined || end !== '}' || fallback?.includes('${')) {
      problem ??= 'contains a ${ that is neither ${NAME} nor ${NAME:-default}; write $${ for a literal ${';
      return '';
    }
    const value = Object.hasOwn(env, variable) ? env[variable] : undefined;
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value === undefined) problem ??= `the environment variable ${shown(variable)}is not set`;
    return value ?? '';
  });
  if (problem !== undefined) return { ok: false, message: problem };
  return { ok: true, text: replaced, whole: /^\$\{[^}]*\}$/.test(text) };
}

/**
 * Whether `text` looks as if it should name a variable, but does not: `$NAME` without braces. A value that is `$NAME` and
 * nothing else does, and one that contains the name of a variable that is set. A password may contain a `$` otherwise.
 */
export function hasBareReference(text: string, env: Environment): boolean {
  if (/^\$[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return true;
  return [...text.matchAll(/(?<!\$)\$([A-Za-z_][A-Za-z0-9_]*)/g)].some(([, found = '']) => Object.hasOwn(env, found));
}
