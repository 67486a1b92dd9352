import { Module } from '@nestjs/common';
import { LongWork } from './long-work';
import { OperationAccess } from './operation-access';
import { OperationsController } from './operations.controller';

@Module({
  controllers: [OperationsController],
  providers: [OperationAccess, LongWork],
  exports: [OperationAccess, LongWork],
})
export class OperationsModule {}
