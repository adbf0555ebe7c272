#!/usr/bin/env node
import { translateAtOnce } from './engine.ts';
import { main } from './main.ts';
import { processContext } from './process-context.ts';

// a relay calls for it when it listens
if (!['relay', 'view'].includes(process.argv[2] ?? '')) translateAtOnce();

process.exit(await main(processContext()));
