/** Verbs in their plain form; regular forms are derived, the others are listed. */
const verbs: readonly string[] = [
  'accept', 'access', 'activate', 'add', 'approve', 'archive', 'assign', 'attach', 'authenticate', 'authorize', 'block',
  'cancel', 'change', 'clear', 'clone', 'close', 'complete', 'configure', 'confirm', 'connect', 'copy', 'create',
  'deactivate', 'decline', 'delete', 'demote', 'deny', 'detach', 'disable', 'disconnect', 'download', 'duplicate', 'edit',
  'enable', 'expire', 'export', 'finish', 'generate', 'grant', 'impersonate', 'import', 'install', 'invite', 'join',
  'leave', 'link', 'list', 'lock', 'login', 'logout', 'merge', 'modify', 'move', 'open', 'promote', 'purge', 'read',
  'regenerate', 'register', 'reject', 'remove', 'rename', 'reopen', 'reorder', 'request', 'resend', 'reset', 'restore',
  'resume', 'revoke', 'rotate', 'save', 'search', 'send', 'set', 'share', 'start', 'stop', 'submit', 'suspend', 'sync',
  'transfer', 'unarchive', 'unassign', 'unblock', 'uninstall', 'unlink', 'unlock', 'unshare', 'unsuspend', 'update',
  'upgrade', 'upload', 'verify', 'view',
]; // biome-ignore format: a list

const irregular: Readonly<Record<string, string>> = {
  'submitted submitting': 'submit',
  left: 'leave',
  sent: 'send',
  'resetted resetting': 'reset',
  'transferred transferring': 'transfer',
  signup: 'register',
  signin: 'login',
  signout: 'logout',
  signoff: 'logout',
  logon: 'login',
  logoff: 'logout',
  creation: 'create',
  deletion: 'delete',
  removal: 'remove',
  verification: 'verify',
};

/** Words for the outcome. */
const outcomes: Readonly<Record<string, string>> = {
  'fail failed fails failure unsuccessful invalid': 'failure',
  'succeed succeeded success successful successfully': 'success',
};

/** Two or three words that mean one. */
const compounds: Readonly<Record<string, string>> = {
  'log in|logged in|sign in|signed in|log on|logged on': 'login',
  'log out|logged out|sign out|signed out|log off|logged off': 'logout',
  'sign up|signed up': 'register',
  'api key|api token|access token|apitoken': 'apikey',
  'test case|tcase': 'testcase',
  'test plan': 'testplan',
  'test run|testrun': 'run',
  'shared step': 'sharedstep',
  'shared precondition': 'sharedprecondition',
  'custom field': 'customfield',
  'audit log': 'auditlog',
  'two factor|2 fa|2fa|multi factor|totp|otp|authenticator': 'mfa',
  'allow list|ip allow list|ip allowlist|ip whitelist|whitelist': 'allowlist',
};

const expand = (table: Readonly<Record<string, string>>, separator: string): [string, string][] =>
  Object.entries(table).flatMap(([forms, word]) =>
    forms.split(separator).map((form): [string, string] => [form, word]),
  );

function formsOf(verb: string): string[] {
  if (/[^aeiou]y$/.test(verb)) return [verb, `${verb.slice(0, -1)}ied`, `${verb.slice(0, -1)}ies`, `${verb}ing`];
  const stem = verb.endsWith('e') ? verb.slice(0, -1) : verb;
  return [verb, `${verb}s`, `${stem}ed`, `${stem}ing`];
}

const verbOf = new Map([
  ...verbs.flatMap((verb) => formsOf(verb).map((form): [string, string] => [form, verb])),
  ...expand(irregular, ' '),
]);
const outcomeOf = new Map(expand(outcomes, ' '));
const compoundOf = new Map(expand(compounds, '|'));

/** Only the beginning of a longer action is used. */
const MAX_LENGTH = 256;

/**
 * The words of an action in lower case, however they are joined: `apiKeyCreated`, `api_key.created`, `API-KEY CREATED`.
 * A `*` counts as a letter.
 */
export function wordsOf(action: string): string[] {
  return action
    .slice(0, MAX_LENGTH)
    .replace(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/gu, ' ')
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}*]+/u)
    .filter((word) => word !== '');
}

/** The words that name the object of the action, in the singular: `api_keys.created` → `api`, `key`. */
export function nounsOf(action: string): string[] {
  return tokensOf(action).flatMap(({ word, parts }) => (isVerb(word) || isOutcome(word) ? [] : parts));
}

/**
 * One spelling for the many an action may have, `noun.verb.outcome`: `UserCreated`, `create_user` and `users.create` all
 * become `user.create`; `failed-login` becomes `login.failure`.
 */
export function canonical(action: string): string {
  const words = tokensOf(action).map(({ word }) => word);
  const rest = words.filter((word) => !isOutcome(word));
  const [first, last] = [rest[0], rest.at(-1)];
  if (first !== undefined && last !== undefined && isVerb(first) && !isVerb(last)) rest.push(...rest.splice(0, 1));
  return [...rest, ...words.filter(isOutcome).slice(0, 1)].join('.');
}

const isVerb = (word: string) => verbOf.get(word) === word;
const isOutcome = (word: string) => word === 'failure' || word === 'success';

/** Good enough for names: `keys` and `statuses` change; `access`, `status` and `sms` do not. */
function singular(word: string): string {
  if (/(ss|us|x|ch|sh)es$/.test(word)) return word.slice(0, -2);
  return /[^sui]s$/.test(word) && word.length > 3 ? word.slice(0, -1) : word;
}

/** Words in their plain form, compounds as one; `parts` are the words of a compound. */
function tokensOf(action: string): { word: string; parts: string[] }[] {
  const words = wordsOf(action).map(singular);
  const tokens: { word: string; parts: string[] }[] = [];
  for (let at = 0; at < words.length; ) {
    const length = [3, 2].find((n) => compoundOf.has(words.slice(at, at + n).join(' '))) ?? 1;
    const parts = words.slice(at, at + length);
    const text = parts.join(' ');
    tokens.push({ word: compoundOf.get(text) ?? verbOf.get(text) ?? outcomeOf.get(text) ?? text, parts });
    at += length;
  }
  return tokens;
}
