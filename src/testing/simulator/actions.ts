import { people } from './fixtures.ts';
import type { Prng, Some } from './prng.ts';

/** One kind of event. */
export interface Action {
  readonly name: string;
  /** Who does it; a stranger has no user, and neither has the system. */
  readonly by: 'person' | 'admin' | 'stranger' | 'system';
  /** How often, against the others. */
  readonly weight: number;
  /** The JSON text of `meta`; an event of an action without it has none. */
  readonly meta?: (dice: Prng) => string;
}

const projects: Some<string> = [
  '"code":"BISTRO","title":"Bistro Delivery"',
  '"code":"PAY","title":"Payments & Refunds"',
  '"code":"MOB","title":"Mobile «Next» 📱"',
  '"code":"ÜB","title":"Übersetzung / ترجمة"',
];
const codes: Some<string> = ['BISTRO', 'PAY', 'MOB', 'ÜB'];
const titles: Some<string> = [
  'User can add an item to the cart',
  'Login rejects a wrong password',
  'Refund is shown in the \\"History\\" tab',
  'Checkout totals stay right with 0.1 + 0.2',
  'The <script>alert(1)<\\/script> name is shown as text',
  'Emoji 👩‍👩‍👧‍👦 survive export and import',
  'Path C:\\\\Temp\\\\new is accepted',
  'تسجيل الدخول يعمل',
];
const priorities: Some<string> = ['low', 'medium', 'high'];
const roles: Some<string> = ['viewer', 'user', 'test-runner', 'admin'];
const methods: Some<string> = ['password', 'password', 'google', 'github', 'saml'];
const reasons: Some<string> = ['wrong_password', 'unknown_user', 'totp_mismatch', 'locked'];
const settings: Some<string> = [
  '"key":"session.timeout","before":86400,"after":3600',
  '"key":"ip.allowlist","before":[],"after":["192.0.2.0/24","2001:db8::/32"]',
  '"key":"password.minLength","before":8,"after":12',
  '"key":"billing.rate","before":1.0,"after":1.50',
];

const email = (dice: Prng) => dice.pick(people).email;
const testCase = (dice: Prng) => `"project":"${dice.pick(codes)}","testCase":${1 + dice.below(2400)}`;
const testRun = (dice: Prng) => `"project":"${dice.pick(codes)}","run":${1 + dice.below(300)}`;
const yes = (dice: Prng, share: number) => dice.share() < share;

/** `action` is an open set; these are its families. Their share follows a team of a dozen on a working day. */
export const actions: readonly Action[] = [
  {
    name: 'user.login',
    by: 'person',
    weight: 180,
    meta: (dice) => `{"method":"${dice.pick(methods)}","mfa":${yes(dice, 0.7)},"session":"${dice.hex(32)}"}`,
  },
  {
    name: 'user.login_failed',
    by: 'stranger',
    weight: 40,
    meta: (dice) => `{"email":${email(dice)},"reason":"${dice.pick(reasons)}","attempt":${1 + dice.below(9)}}`,
  },
  { name: 'user.logout', by: 'person', weight: 90 },
  {
    name: 'user.invite',
    by: 'admin',
    weight: 6,
    meta: (dice) =>
      `{"email":"guest${dice.below(999)}@partner.example","role":"${dice.pick(roles)}","token":"inv_${dice.hex(24)}"}`,
  },
  {
    name: 'user.role_update',
    by: 'admin',
    weight: 5,
    meta: (dice) => `{"target":${dice.pick(people).user},"before":"${dice.pick(roles)}","after":"${dice.pick(roles)}"}`,
  },
  { name: 'user.delete', by: 'admin', weight: 2, meta: (dice) => `{"target":${dice.pick(people).user}}` },
  {
    name: 'api_key.create',
    by: 'admin',
    weight: 4,
    meta: (dice) => `{"name":"${yes(dice, 0.5) ? 'SIEM-LOG-ONLY-splunk' : 'ci'}","prefix":"${dice.hex(8)}"}`,
  },
  { name: 'api_key.revoke', by: 'admin', weight: 3, meta: (dice) => `{"name":"ci","prefix":"${dice.hex(8)}"}` },
  { name: 'project.create', by: 'admin', weight: 3, meta: (dice) => `{${dice.pick(projects)}}` },
  {
    name: 'project.update',
    by: 'admin',
    weight: 8,
    // Beyond 2^53 and not the shortest way to write a number: what a forwarder that parses and prints would change.
    meta: (dice) => `{${dice.pick(projects)},"revision":90071992547409${10 + dice.below(90)}3,"progress":1.0}`,
  },
  { name: 'project.delete', by: 'admin', weight: 1, meta: (dice) => `{${dice.pick(projects)},"testCases":1e3}` },
  {
    name: 'test_case.create',
    by: 'person',
    weight: 130,
    meta: (dice) => `{${testCase(dice)},"title":"${dice.pick(titles)}","priority":"${dice.pick(priorities)}"}`,
  },
  {
    name: 'test_case.update',
    by: 'person',
    weight: 260,
    meta: (dice) =>
      `{${testCase(dice)},"title":"${dice.pick(titles)}","changes":{"priority":["${dice.pick(priorities)}",` +
      `"${dice.pick(priorities)}"],"steps":{"added":${dice.below(6)},"removed":${dice.below(3)}}}}`,
  },
  {
    name: 'test_case.delete',
    by: 'person',
    weight: 12,
    meta: (dice) => `{${testCase(dice)},"title":"${dice.pick(titles)}"}`,
  },
  {
    name: 'test_run.create',
    by: 'person',
    weight: 60,
    meta: (dice) => `{${testRun(dice)},"cases":${dice.below(400)},"assignee":${email(dice)},"milestone":null}`,
  },
  {
    name: 'test_run.close',
    by: 'person',
    weight: 55,
    meta: (dice) =>
      `{${testRun(dice)},"results":{"passed":${dice.below(300)},"failed":${dice.below(40)},"blocked":${dice.below(9)}}}`,
  },
  { name: 'settings.update', by: 'admin', weight: 6, meta: (dice) => `{${dice.pick(settings)}}` },
  {
    name: 'sso.update',
    by: 'admin',
    weight: 2,
    meta: (dice) => `{"provider":"saml","enforced":${yes(dice, 0.5)},"certificateSha256":"${dice.hex(64)}"}`,
  },
  { name: 'sso.sync', by: 'system', weight: 20, meta: (dice) => `{"added":${dice.below(3)},"removed":0,"ms":12.50}` },
  {
    name: 'export.create',
    by: 'person',
    weight: 14,
    meta: (dice) => `{"project":"${dice.pick(codes)}","format":"csv","rows":${dice.below(20000)}}`,
  },
  { name: 'audit_log.read', by: 'admin', weight: 70, meta: (dice) => `{"after":${dice.below(1e6)},"count":1000}` },
  { name: 'retention.purge', by: 'system', weight: 4 },
];
