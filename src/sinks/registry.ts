import type { Sink, SinkDeps } from './sink.ts';
import type { SplunkHecOptions } from './splunk-hec/options.ts';
import { openSplunkHec } from './splunk-hec/sink.ts';
import { openStdout } from './stdout.ts';
import type { SyslogOptions } from './syslog/options.ts';
import { openSyslog } from './syslog/sink.ts';

export type SinkOptions = SplunkHecOptions | SyslogOptions | { readonly type: 'stdout' };

/** Opens the sink that `options` describe; the one list of sinks. Nothing is sent yet. */
export function openSink(options: SinkOptions, deps: SinkDeps): Sink {
  switch (options.type) {
    case 'splunk-hec':
      return openSplunkHec(options, deps);
    case 'syslog':
      return openSyslog(options, deps);
    case 'stdout':
      return openStdout();
  }
}
