namespace Mqtt5;

/// <summary>A part of a list, in the order of the list.</summary>
/// <typeparam name="T">What is listed.</typeparam>
public sealed class MqttPage<T>
{
    internal MqttPage(IReadOnlyList<T> items, string? next)
    {
        Items = items;
        Next = next;
    }

    /// <summary>The entries; fewer than were asked for, even none, where the search stopped early.</summary>
    public IReadOnlyList<T> Items { get; }

    /// <summary>Where to go on: the <c>after</c> of the next call; null: this is the last page.</summary>
    public string? Next { get; }
}
