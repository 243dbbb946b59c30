/// The calls of the kernel seam that can fail, by the name of their method.
///
/// `close`, `unmap`, `isMaster` and libgbm's destroyers answer nothing, so there is nothing to make them fail with.
enum KernelCall: String, CaseIterable, Sendable {
  case open, duplicate, statusFlags, status, fileSystemMagic, seekToEnd, map, poll, createSealedMemory
  case dmaBufSync, udmabufCreate, dmaHeapAllocate
  case version, capability, setClientCapability, setMaster, dropMaster
  case primeHandleToFD, primeFDToHandle, closeHandle, createDumb, mapDumb
  case gbmCreateDevice, gbmCreateBuffer, gbmLayout, gbmImport, gbmMap
  case kmsResources, kmsConnector, kmsEncoderCRTCs, kmsPlanes, kmsPlane, kmsProperties, kmsBlob, kmsCreateBlob
  case kmsDestroyBlob, kmsAddFramebuffer, kmsRemoveFramebuffer, kmsCommit
}
