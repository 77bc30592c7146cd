namespace Mqtt5.Cli;

/// <summary>Which subscribers get the messages of a publisher.</summary>
internal enum Spread
{
    /// <summary>All of them.</summary>
    All,

    /// <summary>One of them each: a shared subscription.</summary>
    Shared,

    /// <summary>Those with the number of the publisher, counted round.</summary>
    Paired,
}
