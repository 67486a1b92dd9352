import path from 'node:path';
import { TrainingFiles } from '@sibyl/features';
import type { Logger } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';
import { OperationRecords } from '../operations/operation-records';

/** Files of training sets, and the operations that make them, as the process before has left them. */
export async function startTraining({ config, log }: { readonly config: ApiConfig; readonly log: Logger }) {
  const { dataDir, training } = config;
  const trainingFiles = new TrainingFiles(path.join(dataDir, 'training-sets'), training);
  await trainingFiles.start();
  const operationRecords = new OperationRecords(path.join(dataDir, 'operations'), training.keptMs, log);
  await trainingFiles.removeOf(await operationRecords.start());
  return { trainingFiles, operationRecords };
}
