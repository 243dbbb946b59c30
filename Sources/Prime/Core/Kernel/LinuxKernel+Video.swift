internal import CDrm

extension LinuxKernel {
  package func nodeNumber(_ path: String) -> CallResult<DeviceNumber> {
    var major: UInt32 = 0
    var minor: UInt32 = 0
    // Safe: the path is copied for the call, and the shim fills the two numbers it is given.
    return unsafe Self.shimmed(cdrm_node_number(path, &major, &minor)).map { _ in
      DeviceNumber(major: major, minor: minor)
    }
  }

  package func videoCapability(_ descriptor: CInt) -> CallResult<KernelVideoCapability> {
    var answer = v4l2_capability()
    // Safe: the shim fills the struct it is given.
    return unsafe Self.shimmed(cdrm_video_capability(descriptor, &answer)).map { _ in
      // V4L2_CAP_DEVICE_CAPS: the driver tells the node's own apart from those of the whole device.
      let isOfNode = answer.capabilities & UInt32(V4L2_CAP_DEVICE_CAPS) != 0
      return KernelVideoCapability(
        driver: Self.videoText(answer.driver), card: Self.videoText(answer.card),
        busInfo: Self.videoText(answer.bus_info), flags: isOfNode ? answer.device_caps : answer.capabilities)
    }
  }

  /// The text in a C array of characters: as far as its first zero, or all of it.
  private static func videoText<Characters>(_ characters: Characters) -> String {
    // Safe: the bytes are those of the value itself and are copied.
    unsafe withUnsafeBytes(of: characters) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// What a shim wrote into 32 bytes, which all names of this interface have.
  private static func videoName(_ fill: (UnsafeMutablePointer<UInt8>) -> CInt) -> CallResult<String> {
    var bytes = [UInt8](repeating: 0, count: 32)
    // Safe: the shim copies 32 bytes and keeps no pointer.
    let result = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return CInt(0) }
      return unsafe fill(start)
    }
    return shimmed(result).map { _ in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

// MARK: - Formats

extension LinuxKernel {
  package func videoFormatCode(_ descriptor: CInt, type: UInt32, index: UInt32) -> CallResult<UInt32> {
    var code: UInt32 = 0
    var flags: UInt32 = 0
    // Safe: the shim fills the two numbers it is given.
    return unsafe Self.shimmed(cdrm_video_format_description(descriptor, type, index, &code, &flags)).map { _ in code }
  }

  package func videoFormat(_ descriptor: CInt, type: UInt32) -> CallResult<KernelVideoFormat> {
    var format = cdrm_video_format()
    // Safe: the shim fills the struct it is given.
    return unsafe Self.shimmed(cdrm_video_get_format(descriptor, type, &format)).map { _ in Self.swift(format) }
  }

  package func videoSetFormat(_ descriptor: CInt, _ format: KernelVideoFormat) -> CallResult<KernelVideoFormat> {
    var wanted = cdrm_video_format()
    wanted.type = format.type
    wanted.width = format.width
    wanted.height = format.height
    wanted.pixel_format = format.pixelFormat
    wanted.field = format.field
    wanted.plane_count = UInt32(format.planes.count)
    Self.set(&wanted.bytes_per_line, format.planes.map(\.bytesPerLine))
    Self.set(&wanted.size_image, format.planes.map(\.sizeImage))
    // Safe: the shim reads and fills the struct it is given.
    return unsafe Self.shimmed(cdrm_video_set_format(descriptor, &wanted)).map { _ in Self.swift(wanted) }
  }

  private static func swift(_ format: cdrm_video_format) -> KernelVideoFormat {
    let lines = numbers(format.bytes_per_line)
    let sizes = numbers(format.size_image)
    return KernelVideoFormat(
      type: format.type, width: format.width, height: format.height, pixelFormat: format.pixel_format,
      field: format.field,
      planes: zip(lines, sizes).prefix(Int(format.plane_count)).map {
        KernelVideoFormat.Plane(bytesPerLine: $0, sizeImage: $1)
      })
  }

  /// A C array of numbers, which Swift sees as a tuple.
  private static func numbers<Tuple>(_ tuple: Tuple) -> [UInt32] {
    // Safe: the tuple is one of 32-bit numbers, which are copied.
    unsafe withUnsafeBytes(of: tuple) { unsafe Array($0.bindMemory(to: UInt32.self)) }
  }

  /// Sets the first numbers of a C array; those that it has no room for are left out.
  private static func set<Tuple>(_ tuple: inout Tuple, _ numbers: [UInt32]) {
    // Safe: the tuple is one of 32-bit numbers, and zip ends with the shorter of the two.
    unsafe withUnsafeMutableBytes(of: &tuple) { bytes in
      let room = unsafe bytes.bindMemory(to: UInt32.self)
      for (index, number) in zip(room.indices, numbers) { unsafe room[index] = number }
    }
  }
}

// MARK: - Buffers

extension LinuxKernel {
  package func videoRequestBuffers(
    _ descriptor: CInt, type: UInt32, memory: UInt32, count: UInt32
  ) -> CallResult<UInt32> {
    var given = count
    // Safe: the shim reads and fills the one number it is given.
    return unsafe Self.shimmed(cdrm_video_request_buffers(descriptor, type, memory, &given)).map { _ in given }
  }

  package func videoExportBuffer(_ descriptor: CInt, type: UInt32, index: UInt32, plane: UInt32) -> CallResult<CInt> {
    Self.shimmed(cdrm_video_export_buffer(descriptor, type, index, plane))
  }

  package func videoQueueBuffer(_ descriptor: CInt, _ buffer: KernelVideoBuffer) -> CallResult<Void> {
    var argument = Self.shim(buffer)
    // Safe: the shim reads the struct it is given.
    return unsafe Self.shimmed(cdrm_video_queue_buffer(descriptor, &argument)).map { _ in }
  }

  package func videoDequeueBuffer(_ descriptor: CInt, _ buffer: KernelVideoBuffer) -> CallResult<KernelVideoBuffer> {
    var argument = Self.shim(buffer)
    // Safe: the shim reads and fills the struct it is given.
    return unsafe Self.shimmed(cdrm_video_dequeue_buffer(descriptor, &argument)).map { _ in
      var answer = buffer
      answer.index = argument.index
      answer.flags = argument.flags
      answer.field = argument.field
      answer.sequence = argument.sequence
      let used = Self.numbers(argument.bytes_used)
      for index in answer.planes.indices where used.indices.contains(index) {
        answer.planes[index].bytesUsed = used[index]
      }
      return answer
    }
  }

  private static func shim(_ buffer: KernelVideoBuffer) -> cdrm_video_buffer {
    var argument = cdrm_video_buffer()
    argument.type = buffer.type
    argument.memory = buffer.memory
    argument.index = buffer.index
    argument.field = buffer.field
    argument.plane_count = UInt32(buffer.planes.count)
    set(&argument.descriptors, buffer.planes.map { UInt32(bitPattern: $0.descriptor) })
    set(&argument.lengths, buffer.planes.map(\.length))
    set(&argument.bytes_used, buffer.planes.map(\.bytesUsed))
    return argument
  }

  package func videoStream(_ descriptor: CInt, type: UInt32, on: Bool) -> CallResult<Void> {
    Self.shimmed(cdrm_video_stream(descriptor, type, on ? 1 : 0)).map { _ in }
  }
}

// MARK: - Inputs, outputs, timings, controls

extension LinuxKernel {
  package func videoConnection(
    _ descriptor: CInt, isOutput: Bool, index: UInt32
  ) -> CallResult<KernelVideoConnection> {
    var flags: UInt32 = 0
    // Safe: the shim fills the name and the number it is given.
    let name = unsafe Self.videoName {
      unsafe cdrm_video_connection(descriptor, isOutput ? 1 : 0, index, $0, &flags)
    }
    return name.map { KernelVideoConnection(name: $0, flags: flags) }
  }

  package func videoChosenConnection(_ descriptor: CInt, isOutput: Bool) -> CallResult<Int32> {
    Self.shimmed(cdrm_video_chosen_connection(descriptor, isOutput ? 1 : 0))
  }

  package func videoChooseConnection(_ descriptor: CInt, isOutput: Bool, index: Int32) -> CallResult<Void> {
    Self.shimmed(cdrm_video_choose_connection(descriptor, isOutput ? 1 : 0, index)).map { _ in }
  }

  package func videoOfferedTimings(_ descriptor: CInt, index: UInt32) -> CallResult<KernelVideoTimings> {
    var timings = v4l2_dv_timings()
    // Safe: the shim fills the struct it is given.
    return unsafe Self.shimmed(cdrm_video_offered_timings(descriptor, index, &timings)).map { _ in
      Self.swift(timings)
    }
  }

  package func videoTimings(_ descriptor: CInt) -> CallResult<KernelVideoTimings> {
    var timings = v4l2_dv_timings()
    // Safe: the shim fills the struct it is given.
    return unsafe Self.shimmed(cdrm_video_timings(descriptor, &timings)).map { _ in Self.swift(timings) }
  }

  package func videoSetTimings(_ descriptor: CInt, _ timings: KernelVideoTimings) -> CallResult<Void> {
    var argument = v4l2_dv_timings()
    // Safe: no more bytes are copied than both have.
    unsafe withUnsafeMutableBytes(of: &argument) { bytes in
      for (index, byte) in zip(bytes.indices, timings.bytes) { unsafe bytes[index] = byte }
    }
    // Safe: the shim reads the struct it is given.
    return unsafe Self.shimmed(cdrm_video_set_timings(descriptor, &argument)).map { _ in }
  }

  private static func swift(_ timings: v4l2_dv_timings) -> KernelVideoTimings {
    var timings = timings
    var (width, height, interlaced): (UInt32, UInt32, UInt32) = (0, 0, 0)
    // Safe: the shim reads the struct and fills the three numbers.
    unsafe cdrm_video_timings_size(&timings, &width, &height, &interlaced)
    // Safe: the bytes are those of the value itself and are copied.
    let bytes = unsafe withUnsafeBytes(of: timings) { unsafe Array($0) }
    return KernelVideoTimings(bytes: bytes, width: width, height: height, isInterlaced: interlaced != 0)
  }

  package func videoNextControl(_ descriptor: CInt, after id: UInt32) -> CallResult<KernelVideoControl> {
    var control = v4l2_queryctrl()
    // Safe: the shim fills the struct it is given.
    return unsafe Self.shimmed(cdrm_video_next_control(descriptor, id, &control)).map { _ in
      KernelVideoControl(
        id: control.id, name: Self.videoText(control.name), flags: control.flags, minimum: control.minimum,
        maximum: control.maximum)
    }
  }

  package func videoMenuItem(_ descriptor: CInt, control: UInt32, index: UInt32) -> CallResult<String> {
    // Safe: the shim fills the name it is given.
    unsafe Self.videoName { unsafe cdrm_video_menu_item(descriptor, control, index, $0) }
  }

  package func videoControl(_ descriptor: CInt, _ control: UInt32) -> CallResult<Int32> {
    var value: Int32 = 0
    // Safe: the shim fills the one number it is given.
    return unsafe Self.shimmed(cdrm_video_control(descriptor, control, &value)).map { _ in value }
  }

  package func videoSetControl(_ descriptor: CInt, _ control: UInt32, _ value: Int32) -> CallResult<Void> {
    Self.shimmed(cdrm_video_set_control(descriptor, control, value)).map { _ in }
  }
}
