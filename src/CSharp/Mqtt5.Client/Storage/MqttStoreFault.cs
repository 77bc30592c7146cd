namespace Mqtt5.Storage;

/// <summary>What is wrong with a store.</summary>
public enum MqttStoreFault
{
    /// <summary>A newer version wrote the store. It is not touched.</summary>
    Newer,

    /// <summary>What is stored does not have its checksum, or a part of it is missing. It is not touched.</summary>
    Damaged,

    /// <summary>The folder or one of its files holds something that is no store. It is not touched.</summary>
    NotAStore,

    /// <summary>Another process has the store, or this one has it twice.</summary>
    InUse,

    /// <summary>The disk is full. Nothing that was committed is lost, and the same group may be committed again.</summary>
    NoSpace,

    /// <summary>The folder or a file cannot be written.</summary>
    ReadOnly,

    /// <summary>
    /// The disk failed. The store has ended: what the operating system still held of earlier writes is not known, so no
    /// later commit of this process could be trusted.
    /// </summary>
    InputOutput,
}
