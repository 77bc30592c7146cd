namespace Mqtt5.Storage;

/// <summary>What becomes of a store that is damaged.</summary>
public enum MqttStoreDamage
{
    /// <summary>It is not opened, and not a byte of it changes.</summary>
    Fail,

    /// <summary>
    /// Its files get the ending <c>.damaged-TIME</c>, and an empty store takes their place. The store is read twice at the
    /// start then: damage has to be found before the first record is used.
    /// </summary>
    SetAside,
}
