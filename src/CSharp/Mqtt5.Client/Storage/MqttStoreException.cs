namespace Mqtt5.Storage;

/// <summary>A store could not be opened, read or written.</summary>
public sealed class MqttStoreException : Exception
{
    /// <summary>Makes an exception.</summary>
    /// <param name="fault">What is wrong.</param>
    /// <param name="path">The file or folder.</param>
    /// <param name="detail">Where in it, and what to do about it, in one sentence without a full stop.</param>
    /// <param name="innerException">Why, as the operating system or the library says it.</param>
    public MqttStoreException(MqttStoreFault fault, string path, string detail, Exception? innerException = null)
        : base($"{path}: {detail}", innerException)
    {
        Fault = fault;
        Path = path;
        Detail = detail;
    }

    /// <summary>What is wrong.</summary>
    public MqttStoreFault Fault { get; }

    /// <summary>The file or folder.</summary>
    public string Path { get; }

    /// <summary>Where in it, and what to do about it.</summary>
    public string Detail { get; }
}
