/// What `VIDIOC_QUERYCAP` tells.
package struct KernelVideoCapability: Hashable, Sendable {
  package var driver: String
  package var card: String
  package var busInfo: String
  /// Those of the opened node (`device_caps`), not of the whole device.
  package var flags: UInt32

  package init(driver: String, card: String, busInfo: String, flags: UInt32) {
    self.driver = driver
    self.card = card
    self.busInfo = busInfo
    self.flags = flags
  }
}

/// `struct v4l2_format` of a video queue, single- or multi-planar.
package struct KernelVideoFormat: Hashable, Sendable, Codable {
  /// One memory plane; a single-planar queue has one.
  package struct Plane: Hashable, Sendable, Codable {
    package var bytesPerLine: UInt32
    package var sizeImage: UInt32

    package init(bytesPerLine: UInt32, sizeImage: UInt32) {
      self.bytesPerLine = bytesPerLine
      self.sizeImage = sizeImage
    }
  }

  /// `enum v4l2_buf_type`.
  package var type: UInt32
  package var width: UInt32
  package var height: UInt32
  package var pixelFormat: UInt32
  /// `enum v4l2_field`.
  package var field: UInt32
  package var planes: [Plane]

  package init(
    type: UInt32, width: UInt32, height: UInt32, pixelFormat: UInt32, field: UInt32, planes: [Plane]
  ) {
    self.type = type
    self.width = width
    self.height = height
    self.pixelFormat = pixelFormat
    self.field = field
    self.planes = planes
  }
}

/// `struct v4l2_buffer` of a video queue, single- or multi-planar.
package struct KernelVideoBuffer: Hashable, Sendable {
  /// One memory plane.
  package struct Plane: Hashable, Sendable {
    /// The dma-buf; ignored where the memory is the driver's own.
    package var descriptor: CInt
    package var length: UInt32
    package var bytesUsed: UInt32

    package init(descriptor: CInt = -1, length: UInt32 = 0, bytesUsed: UInt32 = 0) {
      self.descriptor = descriptor
      self.length = length
      self.bytesUsed = bytesUsed
    }
  }

  package var type: UInt32
  /// `enum v4l2_memory`.
  package var memory: UInt32
  package var index: UInt32
  package var flags: UInt32 = 0
  package var field: UInt32
  package var sequence: UInt32 = 0
  package var planes: [Plane]

  package init(type: UInt32, memory: UInt32, index: UInt32, field: UInt32, planes: [Plane]) {
    self.type = type
    self.memory = memory
    self.index = index
    self.field = field
    self.planes = planes
  }
}

/// An input of a capture device or an output of an output device.
package struct KernelVideoConnection: Hashable, Sendable {
  package var name: String
  /// `V4L2_IN_CAP_*`; outputs have the same numbers.
  package var flags: UInt32

  package init(name: String, flags: UInt32) {
    self.name = name
    self.flags = flags
  }
}

/// `struct v4l2_dv_timings`, and what of it is looked at.
package struct KernelVideoTimings: Hashable, Sendable, Codable {
  /// All bytes of the structure, to be set as they came.
  package var bytes: [UInt8]
  package var width: UInt32
  package var height: UInt32
  package var isInterlaced: Bool

  package init(bytes: [UInt8], width: UInt32, height: UInt32, isInterlaced: Bool) {
    self.bytes = bytes
    self.width = width
    self.height = height
    self.isInterlaced = isInterlaced
  }
}

/// What `VIDIOC_QUERYCTRL` tells.
package struct KernelVideoControl: Hashable, Sendable {
  package var id: UInt32
  package var name: String
  /// `V4L2_CTRL_FLAG_*`.
  package var flags: UInt32
  package var minimum: Int32
  package var maximum: Int32

  package init(id: UInt32, name: String, flags: UInt32, minimum: Int32, maximum: Int32) {
    self.id = id
    self.name = name
    self.flags = flags
    self.minimum = minimum
    self.maximum = maximum
  }
}

/// V4L2 (`linux/videodev2.h`).
package protocol VideoCalls {
  /// `stat(2)`: the number of a character device, `ENOTTY` for every other kind of file.
  func nodeNumber(_ path: String) -> CallResult<DeviceNumber>
  /// `VIDIOC_QUERYCAP`.
  func videoCapability(_ descriptor: CInt) -> CallResult<KernelVideoCapability>
  /// `VIDIOC_ENUM_FMT`: the format's code, `EINVAL` after the last one.
  func videoFormatCode(_ descriptor: CInt, type: UInt32, index: UInt32) -> CallResult<UInt32>
  /// `VIDIOC_G_FMT`.
  func videoFormat(_ descriptor: CInt, type: UInt32) -> CallResult<KernelVideoFormat>
  /// `VIDIOC_S_FMT`: what the driver made of the wish.
  func videoSetFormat(_ descriptor: CInt, _ format: KernelVideoFormat) -> CallResult<KernelVideoFormat>
  /// `VIDIOC_REQBUFS`: how many the driver gave; 0 frees all.
  func videoRequestBuffers(_ descriptor: CInt, type: UInt32, memory: UInt32, count: UInt32) -> CallResult<UInt32>
  /// `VIDIOC_EXPBUF`, close-on-exec and read/write.
  func videoExportBuffer(_ descriptor: CInt, type: UInt32, index: UInt32, plane: UInt32) -> CallResult<CInt>
  /// `VIDIOC_QBUF`, not restarted.
  func videoQueueBuffer(_ descriptor: CInt, _ buffer: KernelVideoBuffer) -> CallResult<Void>
  /// `VIDIOC_DQBUF`, not restarted; of `buffer` the type, the memory and the number of planes are looked at.
  func videoDequeueBuffer(_ descriptor: CInt, _ buffer: KernelVideoBuffer) -> CallResult<KernelVideoBuffer>
  /// `VIDIOC_STREAMON` and `VIDIOC_STREAMOFF`.
  func videoStream(_ descriptor: CInt, type: UInt32, on: Bool) -> CallResult<Void>
  /// `VIDIOC_ENUMINPUT` and `VIDIOC_ENUMOUTPUT`, `EINVAL` after the last one.
  func videoConnection(_ descriptor: CInt, isOutput: Bool, index: UInt32) -> CallResult<KernelVideoConnection>
  /// `VIDIOC_G_INPUT` and `VIDIOC_G_OUTPUT`.
  func videoChosenConnection(_ descriptor: CInt, isOutput: Bool) -> CallResult<Int32>
  /// `VIDIOC_S_INPUT` and `VIDIOC_S_OUTPUT`.
  func videoChooseConnection(_ descriptor: CInt, isOutput: Bool, index: Int32) -> CallResult<Void>
  /// `VIDIOC_ENUM_DV_TIMINGS`, `EINVAL` after the last one.
  func videoOfferedTimings(_ descriptor: CInt, index: UInt32) -> CallResult<KernelVideoTimings>
  /// `VIDIOC_G_DV_TIMINGS`.
  func videoTimings(_ descriptor: CInt) -> CallResult<KernelVideoTimings>
  /// `VIDIOC_S_DV_TIMINGS`.
  func videoSetTimings(_ descriptor: CInt, _ timings: KernelVideoTimings) -> CallResult<Void>
  /// `VIDIOC_QUERYCTRL` with `V4L2_CTRL_FLAG_NEXT_CTRL`: the control after one, 0 for the first; `EINVAL` after the last.
  func videoNextControl(_ descriptor: CInt, after id: UInt32) -> CallResult<KernelVideoControl>
  /// `VIDIOC_QUERYMENU`: an item's name, `EINVAL` for a number that the menu skips.
  func videoMenuItem(_ descriptor: CInt, control: UInt32, index: UInt32) -> CallResult<String>
  /// `VIDIOC_G_CTRL`.
  func videoControl(_ descriptor: CInt, _ control: UInt32) -> CallResult<Int32>
  /// `VIDIOC_S_CTRL`.
  func videoSetControl(_ descriptor: CInt, _ control: UInt32, _ value: Int32) -> CallResult<Void>
}
