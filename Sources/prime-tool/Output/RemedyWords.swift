import Prime

extension Remedy {
  /// The option or the command that is the remedy, as sentences of errors and reports name it.
  var toolWords: String {
    switch self {
    case .moreTime: "raise --timeout if the machine is only slow"
    case .smallerBuffer: "use a smaller --size"
    case .bufferSize(let width, let height): "try --size \(width)x\(height)"
    case .otherFormatOrSize: "try another --format or --size"
    case .format(let name): "use --format \(name)"
    case .implicitModifier: "leave --modifier out for an implicit one"
    case .gbmAllocator: "allocate with --allocator gbm"
    case .commonMode: "ask for a --mode that both displays offer"
    case .otherOverlaySize: "try another --overlay-size, and -v for the kernel's own words"
    case .coherencyCheck: "`verify --coherency` tells more"
    case .writeBack: "--write-back would tell"
    case .noWriteBack: "leave --write-back out"
    case .allowedPeer(let user): "--allow-uid \(user) lets it"
    case .allowedCaller(let user): "the exporter's --allow-uid \(user) opens it"
    case .exporterPath: "name the path that `prime-tool export --to` was given"
    case .startedExporter(let address): "start `prime-tool export --to \(address)`, or raise --timeout"
    case .listOfDevices: "`prime-tool list` shows the devices of this machine"
    case .wholeMatrix: "`prime-tool verify` of the whole matrix shows which of the two refuses"
    case .allDevices: "leave --device out to look at more"
    case .oneJob: "--jobs 1 runs them one by one"
    case .allowedUnplug: "--unplug names one that may be"
    case .allowedModeset: "--modeset takes the display for a moment all the same"
    }
  }
}
