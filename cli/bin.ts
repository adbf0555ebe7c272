#!/usr/bin/env node
import './engine.ts';
import { main } from './main.ts';
import { processContext } from './process-context.ts';

process.exit(await main(processContext()));
