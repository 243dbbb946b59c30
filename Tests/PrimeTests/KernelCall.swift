/// The calls of the kernel seam that can fail, by the name of their method.
///
/// `close`, `unmap`, `isMaster` and libgbm's destroyers answer nothing, so there is nothing to make them fail with.
enum KernelCall: String, CaseIterable, Sendable {
  case open, duplicate, closeOnExec, statusFlags, status, fileSystemMagic, seekToEnd, map, poll, createSealedMemory
  case dmaBufSync, udmabufCreate, dmaHeapAllocate
  case version, capability, setClientCapability, setMaster, dropMaster
  case primeHandleToFD, primeFDToHandle, closeHandle, createDumb, mapDumb
  case gbmCreateDevice, gbmCreateBuffer, gbmLayout, gbmExport, gbmImport, gbmMap
  case kmsResources, kmsConnector, kmsEncoderCRTCs, kmsPlanes, kmsPlane, kmsProperties, kmsBlob, kmsCreateBlob
  case kmsDestroyBlob, kmsAddFramebuffer, kmsRemoveFramebuffer, kmsCommit
  case dmaBufExportSyncFile, dmaBufImportSyncFile, syncFileInfo, syncFileMerge, vgemFenceAttach, vgemFenceSignal
  case syncobjCreate, syncobjDestroy, syncobjToDescriptor, syncobjFromDescriptor, syncobjImportSyncFile, syncobjSignal
  case syncobjReset, syncobjWait, syncobjTimelineSignal, syncobjQuery, syncobjTransfer
  case socket, socketBind, socketListen, socketConnect, socketAccept, socketPeer, socketIsPacket, socketSend
  case socketReceive
  case bpfLoadIterator, bpfLinkIterator, bpfOpenIterator, readIterator

  /// The calls about fences, which are checked on their own: comparing the bytes of two devices needs none of them.
  static let aboutFences: Set<KernelCall> = [
    .dmaBufExportSyncFile, .dmaBufImportSyncFile, .syncFileInfo, .syncFileMerge, .vgemFenceAttach, .vgemFenceSignal,
    .syncobjCreate, .syncobjDestroy, .syncobjToDescriptor, .syncobjFromDescriptor, .syncobjImportSyncFile,
    .syncobjSignal, .syncobjReset, .syncobjWait, .syncobjTimelineSignal, .syncobjQuery, .syncobjTransfer,
  ]

  /// The calls about descriptors that another library made.
  static let aboutAdoption: Set<KernelCall> = [.closeOnExec]

  /// The calls of hand-overs between processes.
  static let aboutSockets: Set<KernelCall> = [
    .socket, .socketBind, .socketListen, .socketConnect, .socketAccept, .socketPeer, .socketIsPacket, .socketSend,
    .socketReceive,
  ]

  /// The calls that list the dma-bufs of the machine.
  static let aboutBPF: Set<KernelCall> = [.bpfLoadIterator, .bpfLinkIterator, .bpfOpenIterator, .readIterator]
}
