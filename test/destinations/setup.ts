import type { TestProject } from 'vitest/node';
import { findKafka } from './kafka-broker.ts';
import { findGateway } from './s3-gateway.ts';

declare module 'vitest' {
  interface ProvidedContext {
    s3: { readonly program: string } | { readonly missing: string };
    kafka: { readonly classPath: string } | { readonly missing: string };
  }
}

export default async function setup(project: TestProject): Promise<void> {
  project.provide('s3', await findGateway((line) => process.stderr.write(`${line}\n`)));
  project.provide('kafka', await findKafka((line) => process.stderr.write(`${line}\n`)));
}
