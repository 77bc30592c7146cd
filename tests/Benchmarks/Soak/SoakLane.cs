using System.Buffers.Binary;

namespace Mqtt5.Benchmarks;

/// <summary>
/// A publisher and a subscriber of one QoS. The messages bear numbers, so that each that is lost or doubled is seen. Both
/// ends keep their sessions when their connections are cut.
/// </summary>
internal sealed class SoakLane : IAsyncDisposable
{
    private const int Window = 64;

    private readonly SemaphoreSlim underWay = new(Window);
    private readonly MqttClient publisher;
    private readonly MqttClient subscriber;
    private readonly string topic;
    private long sent;
    private long next;
    private long received;
    private long lost;
    private long doubled;
    private int interruptions;
    private MqttSubscription? subscription;

    private SoakLane(QoS qos, string topic, MqttClient publisher, MqttClient subscriber)
    {
        QoS = qos;
        this.topic = topic;
        this.publisher = publisher;
        this.subscriber = subscriber;
        publisher.Disconnected += OnDisconnected;
        subscriber.Disconnected += OnDisconnected;
    }

    public QoS QoS { get; }

    public IReadOnlyList<string> ClientIds => [publisher.ClientId!, subscriber.ClientId!];

    public long Received => Volatile.Read(ref received);

    public long Lost => Volatile.Read(ref lost);

    public long Doubled => Volatile.Read(ref doubled);

    /// <summary>How often a connection of either end was lost, cut or not.</summary>
    public int Interruptions => Volatile.Read(ref interruptions);

    /// <summary>Messages of QoS 0 that found the queue of the subscriber full.</summary>
    public long Dropped => subscription!.Dropped;

    public static async Task<SoakLane> StartAsync(int port, int number, QoS qos)
    {
        var topic = $"soak/{number}/{(int)qos}";
        var publisher = await MqttClient.ConnectAsync(Options(port, $"publisher-{number}")).ConfigureAwait(false);
        var subscriber = await MqttClient.ConnectAsync(Options(port, $"subscriber-{number}")).ConfigureAwait(false);
        var lane = new SoakLane(qos, topic, publisher, subscriber);
        lane.subscription = await subscriber.SubscribeAsync(topic, lane.TakeAsync, qos).ConfigureAwait(false);
        return lane;
    }

    /// <summary>Publishes at this rate until it is stopped; infinite: as fast as the acknowledgements come.</summary>
    public async Task PublishAsync(double messagesPerSecond, CancellationToken stop)
    {
        var began = Environment.TickCount64;

        for (var count = 0L; !stop.IsCancellationRequested;)
        {
            var due = (Environment.TickCount64 - began) * messagesPerSecond / 1000;

            for (; count < due && !stop.IsCancellationRequested; count++)
            {
                await underWay.WaitAsync(CancellationToken.None).ConfigureAwait(false);
                _ = PublishOneAsync();
            }

            if (count >= due)
                await Task.Delay(2, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until all that was published has come, or nothing comes any more; the rest is lost.</summary>
    public async Task FinishAsync()
    {
        for (var index = 0; index < Window; index++)
            await underWay.WaitAsync().ConfigureAwait(false);

        for (var (last, quiet) = (-1L, 0); Volatile.Read(ref next) < sent && quiet < 50; quiet = Received == last ? quiet + 1 : 0)
        {
            last = Received;
            await Task.Delay(100).ConfigureAwait(false);
        }

        lost += sent - next;
        Volatile.Write(ref next, sent);
        underWay.Release(Window);
    }

    /// <summary>What was lost and doubled until now does not count. Called while nothing is published.</summary>
    public void Forgive() => (lost, doubled) = (0, 0);

    public async ValueTask DisposeAsync()
    {
        await publisher.DisposeAsync().ConfigureAwait(false);
        await subscriber.DisposeAsync().ConfigureAwait(false);
        underWay.Dispose();
    }

    private static MqttClientOptions Options(int port, string clientId)
    {
        var options = MqttClientOptions.For($"mqtt://127.0.0.1:{port}");
        options.ClientId = clientId;
        options.SessionExpiry = TimeSpan.FromMinutes(10);
        options.Reconnect = new MqttReconnectOptions { InitialDelay = TimeSpan.FromMilliseconds(20), MaximumDelay = TimeSpan.FromMilliseconds(200) };
        return options;
    }

    private void OnDisconnected(object? sender, MqttDisconnectedEventArgs disconnected) => Interlocked.Increment(ref interruptions);

    private async Task PublishOneAsync()
    {
        var payload = new byte[32];
        BinaryPrimitives.WriteInt64LittleEndian(payload, sent++);

        try
        {
            await publisher.PublishAsync(topic, payload, QoS).ConfigureAwait(false);
        }
        catch (MqttException) when (QoS == QoS.AtMostOnce)
        {
            // The connection was cut; at QoS 0 the message is gone, and its number is missing.
        }
        finally
        {
            underWay.Release();
        }
    }

    // Called for one message after another.
    private Task TakeAsync(MqttReceivedMessage message, CancellationToken cancellationToken)
    {
        var number = BinaryPrimitives.ReadInt64LittleEndian(message.Payload.Span);

        if (number < next)
        {
            doubled++;
        }
        else
        {
            lost += number - next;
            Volatile.Write(ref next, number + 1);
        }

        Volatile.Write(ref received, received + 1);
        return Task.CompletedTask;
    }
}
