import { Module } from '@nestjs/common';
import { OperationAccess } from './operation-access';
import { OperationsController } from './operations.controller';

@Module({ controllers: [OperationsController], providers: [OperationAccess] })
export class OperationsModule {}
