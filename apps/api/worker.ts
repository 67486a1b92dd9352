import './src/collector';
import 'reflect-metadata';
import { serveAsWorker } from './src/serve';

void serveAsWorker();
