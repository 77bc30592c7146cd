namespace Mqtt5.BrokerTests;

// What the standard says of shared subscriptions, over a socket.
public sealed class ClausesShared
{
    [Fact]
    [Clause("MQTT-4.8.2-3")]
    public Task Each_member_gets_messages_at_the_QoS_granted_to_it() => Script.RunAsync("""
        p joins
        a joins
        a subscribes "$share/g/t"
        b joins
        b subscribes "$share/g/t" qos=1
        p > PUBLISH qos=2 topic="t" id=1 payload="1"
        p < PUBREC id=1
        p > PUBLISH qos=2 topic="t" id=2 payload="2"
        p < PUBREC id=2
        a <* PUBLISH topic="t"
        a quiet
        b <* PUBLISH qos=1 topic="t" id=1
        b quiet
        """);

    [Fact]
    [Clause("MQTT-4.8.2-4")]
    public Task A_QoS_2_delivery_that_was_cut_is_completed_with_the_same_member() => Script.RunAsync("""
        p joins
        a joins props{SessionExpiryInterval=100}
        a subscribes "$share/g/t" qos=2
        p > PUBLISH qos=2 topic="t" id=1
        a < PUBLISH qos=2 topic="t" id=1
        b joins
        b subscribes "$share/g/t" qos=2
        a leaves
        b quiet
        a resumes props{SessionExpiryInterval=100}
        a < PUBLISH dup=1 qos=2 topic="t" id=1
        a > PUBREC id=1
        a < PUBREL id=1
        a leaves
        a resumes
        a < PUBREL id=1
        a > PUBCOMP id=1
        a quiet
        b quiet
        """);

    [Fact]
    [Clause("MQTT-4.8.2-5")]
    public Task A_QoS_2_message_whose_session_ends_goes_to_no_other_member() => Script.RunAsync("""
        p joins
        a joins props{SessionExpiryInterval=10}
        a subscribes "$share/g/t" qos=2
        p > PUBLISH qos=2 topic="t" id=1
        a < PUBLISH qos=2 topic="t" id=1
        b joins
        b subscribes "$share/g/t" qos=2
        a leaves
        time 11
        sessions 2
        b quiet
        p > PUBLISH qos=2 topic="t" id=2 payload="next"
        b < PUBLISH qos=2 topic="t" id=1 payload="next"
        """);

    [Theory]
    [Clause("MQTT-4.8.2-6")]
    [InlineData(1, "PUBACK id=1 rc=ImplementationSpecificError")]
    [InlineData(2, "PUBREC id=1 rc=QuotaExceeded")]
    public Task A_message_that_a_member_refuses_is_offered_to_no_other(int qos, string refusal) => Script.RunAsync($$"""
        p joins
        a joins props{SessionExpiryInterval=10}
        a subscribes "$share/g/t" qos=2
        p > PUBLISH qos={{qos}} topic="t" id=1
        a < PUBLISH qos={{qos}} topic="t" id=1
        b joins
        b subscribes "$share/g/t" qos=2
        a > {{refusal}}
        a quiet
        b quiet
        a leaves
        time 11
        sessions 2
        b quiet
        """);
}
