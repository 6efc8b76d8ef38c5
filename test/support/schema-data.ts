import { existsSync, readFileSync } from 'node:fs';

/** The compiled schemas are kept outside the repository; tests are skipped if they are missing. */
const folder = new URL('../../../shared/data/', import.meta.url);
const beside = new URL('../../../../shared/data/', import.meta.url);

function read(name: string): unknown {
  const file = [folder, beside].map((base) => new URL(name, base)).find((url) => existsSync(url));
  return file === undefined ? undefined : JSON.parse(readFileSync(file, 'utf8'));
}

export interface OcsfAttribute {
  readonly type: string;
  readonly requirement: 'required' | 'recommended' | 'optional';
  readonly array?: boolean;
  readonly object?: string;
  readonly profile?: string;
  readonly enum?: Readonly<Record<string, string>>;
}

interface Constraints {
  readonly at_least_one?: readonly string[];
  readonly just_one?: readonly string[];
}

export interface OcsfShape {
  readonly attributes: Readonly<Record<string, OcsfAttribute>>;
  readonly constraints: Constraints | null;
}

export interface OcsfSchema {
  readonly version: string;
  readonly classes: Readonly<Record<string, OcsfShape & { readonly class_uid: number; readonly category_uid: number }>>;
  readonly objects: Readonly<Record<string, OcsfShape>>;
  readonly types: Readonly<
    Record<string, { type?: string; regex?: string; max_len?: number; range?: [number, number] }>
  >;
}

export interface EcsSchema {
  readonly version: string;
  readonly fields: Readonly<Record<string, { readonly type: string; readonly array?: boolean }>>;
  readonly allowed: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

export const ocsfSchema = read('ocsf.json') as OcsfSchema | undefined;
export const ecsSchema = read('ecs.json') as EcsSchema | undefined;
