import type { TestProject } from 'vitest/node';
import { findKafka } from './kafka-broker.ts';

declare module 'vitest' {
  interface ProvidedContext {
    kafka: { readonly classPath: string } | { readonly missing: string };
  }
}

export default async function setup(project: TestProject): Promise<void> {
  project.provide('kafka', await findKafka((line) => process.stderr.write(`${line}\n`)));
}
