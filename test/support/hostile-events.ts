import fc from 'fast-check';
import type { AuditEvent } from '../../src/event/event.ts';
import { auditEvent } from './audit-events.ts';
import { hostileNames, keyLiteral, stringLiteral, textOf, trees } from './json-texts.ts';

/** An event as a hostile API or user might make it, with its expected content, derived without any of our code. */
export interface Hostile {
  readonly event: AuditEvent;
  /** Raw text of each member's value by decoded key; the last of a doubled one. */
  readonly raw: ReadonlyMap<string, string>;
  /** The same of `user`, where that is an object. */
  readonly rawUser: ReadonlyMap<string, string>;
}

type Member = readonly [key: string, value: string];

const actions = fc.constantFrom(
  'user.login', 'login_failed', 'user.logout', 'user.created', 'userDeleted', 'invite_user', 'user.role.updated',
  'group.member.added', 'group.created', 'password.changed', '2fa.enabled', 'api_key.created', 'apiKeyRevoked',
  'settings.updated', 'sso.disabled', 'audit_log.exported', 'project.created', 'test_case.deleted', 'weird thing',
  'something.exported', 'a|b=c\\d^e', '',
); // biome-ignore format: a list

const words = fc.constantFrom(
  'Jane Doe', 'jane@acme.test', ' x suser=admin', 'a\\', '=', '^usrName=root', '|0|', '\n<13>1 2026 evil root - - -',
  'tab\there', '\r\n', '\u001b[31mred', '\u2028', '\u0085', '😀'.repeat(3), 'مرحبا\u202e', '\ud800', 'x'.repeat(1_030),
  '='.repeat(1_100), `${'a'.repeat(61)}😀😀`, ' ', '  spaced  ', '"quoted"', '{"json":1}', 'N/A',
); // biome-ignore format: a list

const text = fc.oneof(
  { weight: 4, arbitrary: words.map((word) => JSON.stringify(word)) },
  { weight: 1, arbitrary: stringLiteral },
);
const wrong = fc.constantFrom('null', '7', 'true', '[]', '[{"a":1}]', '{}', '{"x":-0}', '""', '1e3');
const wrongMembers = (raw: string): Member[] => (raw === '{"x":-0}' ? [['"x"', '-0']] : []);
const mostly = (arbitrary: fc.Arbitrary<string>) => fc.oneof({ weight: 9, arbitrary }, { weight: 1, arbitrary: wrong });

const ip = fc.constantFrom(
  '203.0.113.7',
  '2001:db8::1',
  '::ffff:203.0.113.7',
  'fe80::1%eth0',
  'unknown',
  '1.2.3',
  '::',
);
/** Readable times, with what every format must make of them. */
export const readableTimes: ReadonlyMap<string, number> = new Map([
  ['2026-11-23T10:00:00.123Z', Date.UTC(2026, 10, 23, 10, 0, 0, 123)],
  ['2026-11-23T10:00:00Z', Date.UTC(2026, 10, 23, 10)],
  ['2026-11-23T12:00:00.123456+02:00', Date.UTC(2026, 10, 23, 10, 0, 0, 123)],
  ['2026-11-23T10:00:00.5', Date.UTC(2026, 10, 23, 10, 0, 0, 500)],
  ['1970-01-01T00:00:00.001Z', 1],
  ['2500-01-01T00:00:00.000Z', Date.UTC(2500, 0, 1)],
]);
const time = fc.constantFrom(
  ...readableTimes.keys(), 'yesterday', '1969-01-01T00:00:00Z', '+275760-09-13T00:00:00.000Z', '2026-02-30T10:00:00Z',
  '0001-01-01T00:00:00Z',
); // biome-ignore format: a list
const number = fc.constantFrom('17', '9007199254740993', '-0', '1e3', '1.0', '123456789012345678901234567890');
const quoted = (arbitrary: fc.Arbitrary<string>) => arbitrary.map((word) => JSON.stringify(word));

const named = (name: string, value: fc.Arbitrary<string>, chance = 8) =>
  fc.oneof(
    { weight: chance, arbitrary: value.map((raw): Member[] => [[JSON.stringify(name), raw]]) },
    { weight: 1, arbitrary: fc.constant<Member[]>([]) },
  );
const foreign = fc.array(
  fc.tuple(keyLiteral(hostileNames), trees().map(textOf)).filter(([key]) => JSON.parse(key) !== 'user'),
  { maxLength: 2 },
);

const userMembers = fc
  .tuple(
    named('id', mostly(fc.oneof(number, text))),
    named('name', mostly(text)),
    named('email', mostly(text)),
    fc.oneof({ weight: 5, arbitrary: fc.constant<Member[]>([]) }, { weight: 1, arbitrary: foreign }),
  )
  .map((parts) => parts.flat());

const subjects = fc.array(
  fc.tuple(
    fc.constantFrom(
      'userId',
      'email',
      'role',
      'roles',
      'group',
      'name',
      'id',
      'apiKey',
      'projectId',
      'reason',
      'title',
    ),
    fc.oneof(
      number,
      text,
      fc.constant('{"id":12345678901234567890,"name":"N"}'),
      fc.constant('["a",{"name":"b"},3,null]'),
    ),
  ),
  { maxLength: 4 },
);
const long = [
  `{"a":"${'x'.repeat(5_000)}","b":1.0}`,
  `{"a":${'['.repeat(900)}${']'.repeat(900)},"b":"${'='.repeat(3_000)}"}`,
];
const meta = fc.oneof(
  {
    weight: 12,
    arbitrary: subjects.map(
      (members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(', ')}}`,
    ),
  },
  { weight: 12, arbitrary: trees().map(textOf) },
  { weight: 1, arbitrary: fc.constantFrom(...long) },
);

const objectText = (members: readonly Member[], space: string) =>
  `{${members.map(([key, value]) => `${key}:${space}${value}`).join(`,${space}`)}}`;
const lastOf = (members: readonly Member[]) => new Map(members.map(([key, raw]) => [JSON.parse(key) as string, raw]));

/** Events made of one draw: drawing is dear, so its parts are combined in many ways. */
const perDraw = 10;
const three = <T>(arbitrary: fc.Arbitrary<T>) => fc.tuple(arbitrary, arbitrary, arbitrary);
const rarely = (arbitrary: fc.Arbitrary<Member[]>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant<Member[]>([]) }, { weight: 1, arbitrary });

/** Ten events of every kind: each field may be missing, null, of another type, doubled or hostile. */
export const hostileEvents: fc.Arbitrary<Hostile[]> = fc
  .record({
    id: fc.bigInt({ min: 0n, max: 10n ** 25n }),
    users: three(fc.oneof({ weight: 6, arbitrary: userMembers }, { weight: 2, arbitrary: wrong })),
    parts: fc.tuple(
      three(named('action', mostly(fc.oneof(quoted(actions), quoted(actions), text)))),
      three(named('ip', mostly(fc.oneof(quoted(ip), quoted(ip), text)))),
      three(named('userAgent', mostly(text))),
      three(named('createdAt', mostly(fc.oneof(quoted(time), text)))),
      three(named('meta', fc.oneof({ weight: 5, arbitrary: meta }, { weight: 1, arbitrary: wrong }), 4)),
      three(rarely(foreign)),
      three(rarely(fc.constant<Member[]>([['"ip"', '"192.0.2.1"']]))),
    ),
    space: fc.constantFrom('', '', ' ', '\n', '\t'),
    seed: fc.nat(),
  })
  .map(({ id, users, parts, space, seed }) =>
    Array.from({ length: perDraw }, (_, at): Hostile => {
      let state = seed + at * 7_919;
      const pick = <T>(of: readonly [T, T, T]): T => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return of[(state >>> 16) % 3] ?? of[0];
      };
      const user = pick(users);
      const own: Member = ['"user"', typeof user === 'string' ? user : objectText(user, space)];
      const all: Member[] = [['"id"', (id + BigInt(at)).toString()], own, ...parts.flatMap((part) => pick(part))];
      const turn = state % 7;
      const members = [...all.slice(turn), ...all.slice(0, turn)];
      return {
        event: auditEvent(Buffer.from(objectText(members, space)), id + BigInt(at)),
        raw: lastOf(members),
        rawUser: lastOf(typeof user === 'string' ? wrongMembers(user) : user),
      };
    }),
  );

/** How many events a test draws; `npm run test:draws` sets more. */
const drawnEvents = Number(process.env['HOSTILE_EVENTS'] ?? 5_000);

/** Runs `check` over hostile events. @throws Error that names the seed and the first event that fails, shrunk */
export function forHostileEvents(check: (hostile: Hostile) => void, count = drawnEvents): void {
  let failing = '';
  const property = fc.property(hostileEvents, (events) => {
    for (const hostile of events) {
      try {
        check(hostile);
      } catch (error) {
        failing = hostile.event.text.toString();
        throw error;
      }
    }
  });
  const { failed, seed, counterexamplePath, errorInstance } = fc.check(property, { numRuns: count / perDraw });
  if (failed) throw new Error(`seed ${seed}, path ${counterexamplePath}: ${failing}`, { cause: errorInstance });
}
