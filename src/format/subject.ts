import { eachElement, endOfValue } from '../event/json-scan.ts';
import type { Meaning } from './actions.ts';
import { type Fields, type Place, placesIn, scalarIn, type User } from './fields.ts';

/** The object of an action; at least one of both is defined. */
export interface Named {
  readonly id: string | undefined;
  readonly name: string | undefined;
}

/**
 * Names under which `meta` may describe the object of the action. The API promises nothing about `meta`: these are guesses,
 * and if none matches, nothing is claimed.
 */
const accounts = ['targetUser', 'target', 'user', 'member', 'invitee', 'account'];
const failures = ['reason', 'failureReason', 'error', 'errorMessage'];
const rights = [
  'role',
  'newRole',
  'toRole',
  'roleName',
  'permission',
  'privilege',
  'roles',
  'permissions',
  'privileges',
  'after',
];
const openBracket = 0x5b;

/** Whether the action affects an account, which `meta` may then name. */
export const actsOnAccounts = (meaning: Meaning): boolean =>
  ['account', 'permission', 'group', 'authentication'].includes(meaning.category);

/** What an event's `meta` says about the object of the action. */
export class Subject {
  readonly #text: Buffer;
  readonly #fields: Fields;
  readonly #meaning: Meaning;

  constructor(text: Buffer, fields: Fields, meaning: Meaning) {
    this.#text = text;
    this.#fields = fields;
    this.#meaning = meaning;
  }

  /** The affected account: the one that `meta` names, else the actor's own if the action affects oneself. */
  account(): User | undefined {
    return this.otherAccount() ?? (this.#meaning.self === true ? this.#fields.user : undefined);
  }

  /** The affected account, if `meta` names one. */
  otherAccount(): User | undefined {
    for (const base of accounts) {
      const nested = this.#nested(base);
      const user = {
        id: scalarIn(this.#text, nested.get('id')) ?? this.#scalar(`${base}Id`),
        name: scalarIn(this.#text, nested.get('name')) ?? this.#scalar(`${base}Name`),
        email: scalarIn(this.#text, nested.get('email')) ?? this.#scalar(`${base}Email`),
      };
      if (user.id !== undefined || user.name !== undefined || user.email !== undefined) return user;
    }
    const email = this.#scalar('email') ?? this.#scalar('invitedEmail');
    return email === undefined ? undefined : { id: undefined, name: undefined, email };
  }

  /** The object that the action's noun names: for `api_key.created` apiKey, apiKeyId, apiKeyName, then id and name. */
  thing(): Named | undefined {
    const { noun } = this.#meaning;
    const whole = noun.map((word, at) => (at === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1))).join('');
    return this.#named(whole) ?? this.#named(noun.at(-1) ?? '') ?? this.#found(this.#scalar('id'), this.#title());
  }

  /** The group or team. */
  group(): Named | undefined {
    return this.#named('group') ?? this.#named('team') ?? this.#found(this.#scalar('id'), this.#title());
  }

  /** Roles or rights granted or revoked. */
  privileges(): readonly string[] {
    for (const name of rights) {
      const place = this.#fields.metaMembers.get(name);
      if (place === undefined) continue;
      const found = this.#texts(place);
      if (found.length > 0) return found;
    }
    return [];
  }

  /** Why the action failed. */
  reason(): string | undefined {
    if (this.#meaning.outcome !== 'failure') return undefined;
    return failures.map((name) => this.#scalar(name)).find((text) => text !== undefined);
  }

  #named(base: string): Named | undefined {
    if (base === '') return undefined;
    const nested = this.#nested(base);
    const id = scalarIn(this.#text, nested.get('id')) ?? this.#scalar(`${base}Id`);
    const name =
      scalarIn(this.#text, nested.get('name') ?? nested.get('title')) ??
      this.#scalar(`${base}Name`) ??
      this.#scalar(`${base}Title`) ??
      this.#scalar(base);
    return this.#found(id, name);
  }

  #found(id: string | undefined, name: string | undefined): Named | undefined {
    return id === undefined && name === undefined ? undefined : { id, name };
  }

  #title(): string | undefined {
    return this.#scalar('name') ?? this.#scalar('title');
  }

  #scalar(name: string): string | undefined {
    return scalarIn(this.#text, this.#fields.metaMembers.get(name));
  }

  #nested(name: string): ReadonlyMap<string, Place> {
    const place = this.#fields.metaMembers.get(name);
    return place === undefined ? new Map() : placesIn(this.#text, place.valueAt);
  }

  /** A scalar, an object's name, or an array of either. */
  #texts(place: Place): string[] {
    const one = scalarIn(this.#text, place) ?? scalarIn(this.#text, placesIn(this.#text, place.valueAt).get('name'));
    if (one !== undefined) return [one];
    const found: string[] = [];
    if (this.#text[place.valueAt] === openBracket)
      eachElement(this.#text, place.valueAt, (valueAt) => {
        const valueEnd = endOfValue(this.#text, valueAt);
        const item = { keyAt: valueAt, keyEnd: valueAt, valueAt, valueEnd };
        const text = scalarIn(this.#text, item) ?? scalarIn(this.#text, placesIn(this.#text, valueAt).get('name'));
        if (text !== undefined) found.push(text);
        return valueEnd;
      });
    return found;
  }
}
