namespace Mqtt5.Storage;

/// <summary>When a group counts as stored, which is when what it promises is acknowledged.</summary>
public enum MqttStoreSync
{
    /// <summary>
    /// When the disk has it. Neither the end of the process nor a power failure loses what was acknowledged, on a disk that
    /// tells the truth about its cache.
    /// </summary>
    Every,

    /// <summary>
    /// When the operating system has it; the disk gets it each interval. The end of the process loses nothing, a power
    /// failure at most the interval.
    /// </summary>
    Interval,

    /// <summary>
    /// At once; the operating system gets it within 100 ms. The end of the process loses up to that, a power failure some
    /// seconds. The files stay whole.
    /// </summary>
    None,
}
