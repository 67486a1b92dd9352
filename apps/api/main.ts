import 'reflect-metadata';
import { serve } from './src/serve';

void serve();
